"""Which methods of a class make its rows, and which classes are refused."""

from __future__ import annotations

from functools import wraps

import pytest

from djq.errors import DefinitionError
from djq.populate.makers import Maker, maker_of


class Base:
    def make(self, key):
        raise NotImplementedError


def declared(**methods):
    return type("Spikes", (Base,), methods)


def whole(self, key):
    pass


def of_many(self, keys):
    pass


def fetch(self, key):
    pass


def compute(self, key, *fetched):
    pass


def insert(self, key, *computed):
    pass


def steps(self, key):
    yield


THREE = {"make_fetch": fetch, "make_compute": compute, "make_insert": insert}


@pytest.mark.parametrize(
    ("methods", "maker"),
    [
        ({}, Maker(None)),
        ({"make": None}, Maker(None)),
        ({"make": whole}, Maker("make")),
        ({"_make_tuples": whole}, Maker("_make_tuples")),
        ({"make": whole, "_make_tuples": whole}, Maker("make")),
        ({"make": steps}, Maker("generator")),
        (THREE, Maker("parts")),
        ({"make_many": of_many}, Maker(None, has_many=True)),
        ({"make": whole, "make_many": of_many}, Maker("make", has_many=True)),
    ],
)
def test_a_class_is_made_by_what_it_defines(methods, maker):
    assert maker_of(declared(**methods), Base) == maker


def test_a_class_without_any_make_has_none():
    assert not maker_of(declared(), Base)
    assert maker_of(declared(make_many=of_many), Base)


def test_methods_may_be_inherited_and_decorated():
    def noisy(function):
        @wraps(function)
        def call(*args, **kwargs):
            return function(*args, **kwargs)

        return call

    parent = declared(make=noisy(steps))

    assert maker_of(type("Child", (parent,), {}), Base) == Maker("generator")


async def later(self, key):
    pass


def keyless(self):
    pass


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"make_fetch": fetch, "make_insert": insert}, "make_insert, and lacks make_compute"),
        ({"make": whole, **THREE}, "defines both make and make_fetch, make_compute, make_insert"),
        ({"make": later}, r"Spikes\.make is asynchronous"),
        ({"make": keyless}, r"Spikes\.make cannot be called: it is make\(self\).*Define make"),
        ({"make_many": keyless}, r"Define make_many\(self, keys"),
        ({"make_many": steps}, r"make_many yields, and only make may be a generator"),
        ({**THREE, "make_fetch": steps}, "make_fetch yields"),
        ({"make": 5}, r"Spikes\.make is 5, and no method"),
    ],
)
def test_what_could_not_be_called_is_refused(methods, words):
    with pytest.raises(DefinitionError, match=words):
        maker_of(declared(**methods), Base)
