"""What wrong fetches are answered, word by word: read it as documentation."""

from __future__ import annotations

import numpy as np
import pytest

import djq as dj
from djq.errors import QueryError, UnreachableError
from djq.settings import load
from djq.tables.connection import Connection

KNOWN = "Known: image, title, pixels."
OPTIONS = "Known: as_dict, format, order_by, limit, offset, squeeze"

#: What is done; what it says.
CASES = {
    "no row": (
        lambda q: (q & "image > 9").fetch1(),
        "fetch1 needs exactly one row, and lab.Image has no row: to_dicts takes any number",
    ),
    "many rows": (
        lambda q: q.fetch1("title"),
        "fetch1 needs exactly one row, and lab.Image has 2 rows: restrict it",
    ),
    "rows of an expression": (
        lambda q: q.proj().fetch1("KEY"),
        "fetch1 needs exactly one row, and the query has 2 rows: restrict it",
    ),
    "misspelled name": (
        lambda q: q.fetch1("titel"),
        f'unknown attribute "titel". Did you mean "title"? {KNOWN}',
    ),
    "misspelled among others": (
        lambda q: q.to_arrays("image", "titel"),
        f'unknown attribute "titel". Did you mean "title"? {KNOWN}',
    ),
    "names in one text": (
        lambda q: q.fetch("image, title"),
        '\'image, title\' is no name of an attribute: write them one by one, as in "a", "b"',
    ),
    "names in a list": (
        lambda q: q.fetch(["image", "title"]),
        "['image', 'title'] is no name of an attribute: write them one by one, as in \"a\", \"b\"",
    ),
    "misspelled option": (
        lambda q: q.fetch("title", as_dcit=True),
        f'fetch has no option "as_dcit". Did you mean "as_dict"? {OPTIONS}',
    ),
    "unknown option": (
        lambda q: q.fetch(download_path="."),
        f'fetch has no option "download_path". {OPTIONS}',
    ),
    "unknown format": (
        lambda q: q.fetch(format="arrow"),
        'fetch(as_dict=None, format=\'arrow\'): give "array", "frame" or neither',
    ),
    "two formats": (
        lambda q: q.fetch(as_dict=True, format="frame"),
        "fetch(as_dict=True, format='frame'): give one of the two or neither",
    ),
    "order by nothing known": (
        lambda q: q.to_dicts(order_by="size"),
        f'unknown attribute "size". {KNOWN}',
    ),
    "order with a word too many": (
        lambda q: q.to_dicts(order_by="title DOWN"),
        'cannot order by "title DOWN": write "name", "name DESC" or "KEY"',
    ),
    "order by a number": (
        lambda q: q.keys(order_by=1),
        'order_by=1: write "name", "name DESC", "KEY", or a list of such',
    ),
    "order by a mapping": (
        lambda q: q.keys(order_by={"title": "DESC"}),
        'order_by={\'title\': \'DESC\'}: write "name", "name DESC", "KEY", or a list of such',
    ),
    "negative limit": (lambda q: q.to_dicts(limit=-1), "limit=-1: a limit is 0 or more"),
    "negative limit of a preview": (
        lambda q: q.preview(limit=-1),
        "limit=-1: a limit is 0 or more",
    ),
    "negative offset": (lambda q: q.fetch(offset=-2), "offset=-2: an offset is 0 or more"),
    "limit in text": (lambda q: q.head("3"), "limit='3': a whole number from 0"),
    "limit with a fraction": (lambda q: q.keys(limit=2.5), "limit=2.5: a whole number from 0"),
    "limit that is true": (lambda q: q.to_dicts(limit=True), "limit=True: a whole number from 0"),
    "preview of no width": (
        lambda q: q.preview(width=2),
        "width=2: a value is shown in 4 characters or more",
    ),
    "values that Arrow cannot hold": (
        lambda q: q.to_arrow(),
        (
            'Arrow has no type for the values of "pixels" (<blob>): it takes arrays of numbers of '
            "at most 8 bytes, of one dtype and of one axis or one shape, and numbers or texts. "
            "Leave it out with .proj(), or use to_dicts or to_arrays, which hold any value"
        ),
    ),
}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    settings = load(database_url=f"sqlite:///{folder / 'lab.sqlite'}", state_dir=folder / ".djq")
    connection = Connection(settings)
    schema = dj.Schema("lab", connection=connection)

    @schema
    class Image(dj.Manual):
        definition = """
        image : int32
        ---
        title : varchar(20)
        pixels : <blob>
        """

    Image.insert([(1, "soma", np.zeros(3)), (2, "axon", {"x": 1})])
    yield Image
    connection.close()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("how", ["class", "instance"])
def test_wrong_fetches_say_what_is_wrong(image, case, how):
    act, said = CASES[case]

    with pytest.raises(QueryError) as raised:
        act(image() if how == "instance" or case == "no row" else image)

    assert str(raised.value) == said


def test_a_preview_of_a_database_that_is_gone_says_so(image):
    gone = Connection(load(database_url="mysql://lab@127.0.0.1:1", database_timeout_s=1))

    with pytest.raises(UnreachableError, match="cannot reach the database"):
        repr(dj.Query(image().node, gone))
