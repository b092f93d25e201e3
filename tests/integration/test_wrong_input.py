"""Input that was once misunderstood: each is refused in words of ours, or does what it says."""

from __future__ import annotations

import pytest

import djq as dj
from djq.errors import BrokenReferenceError, DefinitionError, QueryError, RowError


@pytest.fixture
def subject(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        -> [nullable] Subject.proj(mother='subject')
        big = null : bigint unsigned
        """

    return Subject


@pytest.fixture
def session(schema, subject):
    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        """

    subject.insert({"subject": i} for i in (1, 2, 3))
    Session.insert([(1, 1), (2, 1)])
    return Session


@pytest.mark.parametrize("wrap", [lambda q: q, lambda q: [q, "subject = 9"], dj.Not])
def test_a_typing_error_inside_of_a_query_deletes_nothing(subject, session, wrap):
    wrong = session & {"sesion": 1}
    with pytest.raises(QueryError, match="restricted by sesion"):
        (subject & wrap(wrong)).delete(prompt=False)
    with pytest.raises(QueryError, match="restricted by sesion"):
        (subject & wrap(wrong)).delete_quick()
    assert len(subject()) == 3


def test_an_expression_has_no_verbs_of_tables(subject, session):
    with pytest.raises(AttributeError, match="delete is for the rows of one table"):
        (subject * session).delete(prompt=False)
    assert not hasattr(subject.proj(), "insert1")


def test_a_row_that_refers_to_a_later_one_is_named(subject):
    rows = [{"subject": 2, "mother": 1}, {"subject": 1, "mother": None}]
    with pytest.raises(BrokenReferenceError, match=r"row 1: .*later among the rows"):
        subject.insert(rows)
    assert not subject()


def test_what_sqlite_cannot_keep_is_refused(subject, connection):
    if not connection.database.dialect.is_sqlite:
        subject.insert1({"subject": 1, "big": 2**64 - 1})
        assert subject.fetch1("big") == 2**64 - 1
        return
    with pytest.raises(RowError, match="outside of what SQLite keeps"):
        subject.insert1({"subject": 1, "big": 2**63})


def test_files_that_cannot_be_read_are_refused(subject, tmp_path):
    latin = tmp_path / "latin.csv"
    latin.write_bytes("subject,big\n1,é\n".encode("latin-1"))
    with pytest.raises(RowError, match="is not UTF-8"):
        subject.insert(latin)
    double = tmp_path / "double.csv"
    double.write_text("subject,big,big\n1,2,3\n")
    with pytest.raises(RowError, match='has "big" twice'):
        subject.insert(double)


def test_a_frame_with_a_column_twice_is_refused(subject):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2, 3]], columns=["subject", "big", "big"])
    with pytest.raises(RowError, match='the DataFrame has "big" twice'):
        subject.insert(frame)


def test_contents_that_are_no_rows_are_refused(schema):
    with pytest.raises(DefinitionError, match="contents is 5: give a list of rows"):

        @schema
        class Wrong(dj.Lookup):
            definition = """
            wrong : int32
            """
            contents = 5


def test_schemas_that_differ_in_case_are_not_one(schema, connection, subject):
    subject.insert1({"subject": 1})
    other = dj.Schema(schema.name.upper(), connection=connection)

    def declare():
        @other
        class Subject(dj.Manual):
            definition = """
            subject : int32
            """

        return Subject

    if connection.database.dialect.is_sqlite:
        with pytest.raises(DefinitionError, match="only in upper and lower case"):
            declare()
    else:
        assert not declare()()
        other.drop(prompt=False)
    assert len(subject()) == 1


def test_all_settings_are_a_dict():
    assert dict(dj.config)["safemode"] is True


def test_what_is_not_built_says_so():
    with pytest.raises(AttributeError, match=r"dj\.migrate is not built yet"):
        _ = dj.migrate
