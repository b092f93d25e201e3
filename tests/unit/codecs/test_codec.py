"""The user's own codecs: how they become known, and the chains that they begin."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

import djq as dj
from djq.codecs import codec as codecs
from djq.codecs import registry
from djq.codecs.codec import Codec, extras
from djq.errors import CodecError


@pytest.fixture(autouse=True)
def _known_before(monkeypatch):
    monkeypatch.setattr(codecs, "registered", before := dict(codecs.registered))
    monkeypatch.setattr(registry, "registered", before)


def define(**members: object) -> type[Codec]:
    return type("Graph", (Codec,), {"name": "graph", "get_dtype": get_dtype, **members})


def get_dtype(self: Codec, is_store: bool) -> str:
    return "<blob>"


def test_a_class_makes_itself_known_by_its_name():
    cls = define()
    assert isinstance(registry.get("graph"), cls)
    assert "graph" in dj.list_codecs()
    assert dj.get_codec("graph") is registry.get("graph")


def test_a_base_of_codecs_stays_unknown():
    class Base(Codec, register=False):
        pass

    class Derived(Base):
        name = "derived"

    assert isinstance(registry.get("derived"), Derived)
    with pytest.raises(CodecError, match="unknown codec <base>"):
        registry.get("base")


def test_the_same_class_may_be_written_again_as_in_a_notebook():
    define()
    again = define()
    assert type(registry.get("graph")) is again


@pytest.mark.parametrize("name", ["", "Graph", "a-b", "1a", None, 3])
def test_a_codec_without_a_proper_name_is_refused(name):
    with pytest.raises(CodecError, match="Graph: a codec needs a name of lower-case letters"):
        define(name=name)


def test_a_name_that_another_class_has_is_refused():
    define()
    with pytest.raises(CodecError, match=r'Other: the name "graph" belongs to the codec .*:Graph'):
        type("Other", (Codec,), {"name": "graph"})
    with pytest.raises(CodecError, match=r'Blob: the name "blob" belongs to .*plain:BlobCodec'):
        type("Blob", (Codec,), {"name": "blob"})


def test_a_package_offers_its_codec_as_an_entry_point(monkeypatch):
    cls = define(name="offered")
    del codecs.registered["offered"]
    monkeypatch.setattr(codecs, "Offered", cls, raising=False)
    entry = EntryPoint("offered", "djq.codecs.codec:Offered", "djq.codecs")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry][: group == "djq.codecs"])
    assert "offered" in registry.names()
    assert isinstance(registry.get("offered"), cls)


@pytest.mark.parametrize("value", ["no_such_package.codecs:Lost", "djq.codecs.codec:Lost"])
def test_an_entry_point_that_cannot_be_loaded_is_named_with_its_package(monkeypatch, value):
    package = SimpleNamespace(name="lost-package")
    entry = EntryPoint("lost", value, "djq.codecs")._for(package)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry][: group == "djq.codecs"])
    words = f'<lost>: the entry point "{value}" of the package lost-package cannot be loaded: '
    with pytest.raises(CodecError, match=re.escape(words) + r"\w+Error: .*Install") as caught:
        registry.get("lost")
    assert isinstance(caught.value.__cause__, ImportError | AttributeError)


def test_a_codec_without_one_of_its_methods_is_refused_with_what_to_write():
    bare = type("Bare", (Codec,), {"name": "bare"})
    with pytest.raises(
        CodecError, match=r"<bare>: Bare does not say .*: write def get_dtype\(self"
    ):
        registry.resolve("bare", None)
    with pytest.raises(NotImplementedError, match=r"cannot encode: write def encode\(self, value"):
        bare().encode(1)
    with pytest.raises(NotImplementedError, match=r"cannot decode: write def decode\(self, stored"):
        bare().decode(1)


@pytest.mark.parametrize(
    ("dtype", "store", "links", "column"),
    [
        ("json", None, ["graph"], "json"),
        ("varchar(8)", None, ["graph"], "varchar(8)"),
        ("<blob>", None, ["graph", "blob"], "bytes"),
        ("<blob>", "raw", ["graph", "blob", "hash"], "json"),
        ("<blob>", "", ["graph", "blob", "hash"], "json"),
        ("<blob@tiles>", None, ["graph", "blob", "hash"], "json"),
        ("<hash@>", None, ["graph", "hash"], "json"),
    ],
)
def test_codecs_follow_each_other_to_the_type_of_the_column(dtype, store, links, column):
    define(get_dtype=lambda self, is_store: dtype)
    chain = registry.resolve("graph", store)
    assert [link.name for link in chain.links] == links
    assert (chain.column, chain.n_own) == (column, 1)


def test_the_store_that_a_codec_names_wins_over_none():
    define(get_dtype=lambda self, is_store: "<blob@tiles>")
    assert registry.resolve("graph", None).store == "tiles"


def test_codecs_that_lead_in_a_circle_are_refused():
    define(get_dtype=lambda self, is_store: "<other>")
    define(name="other", __qualname__="Other", get_dtype=lambda self, is_store: "<graph>")
    with pytest.raises(CodecError, match="in a circle: <graph> → <other> → <graph>"):
        registry.resolve("graph", None)


def test_a_codec_that_names_no_type_is_refused():
    define(get_dtype=lambda self, is_store: None)
    with pytest.raises(CodecError, match="get_dtype of <graph> returned None instead of a type"):
        registry.resolve("graph", None)


def test_bytes_without_a_store_are_no_hash():
    with pytest.raises(CodecError, match=r"<hash> needs a store for its bytes: write <hash@store>"):
        registry.resolve("hash", None)


def test_methods_are_called_with_what_their_signatures_name():
    assert extras(lambda value: 0) == ()
    assert extras(lambda value, *, key=None: 0) == ("key",)
    assert extras(lambda value, key=None, store_name=None: 0) == ("key", "store_name")
    assert extras(lambda value, **others: 0) == ("key", "store_name", "context")
