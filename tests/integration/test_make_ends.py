"""How a make may end other than well: by whatever it raises, on every database."""

from __future__ import annotations

import asyncio

import pytest

import djq as dj


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError


class StopError(BaseException):
    pass


@pytest.fixture
def number(schema):
    @schema
    class Number(dj.Manual):
        definition = "n : int32"

    Number.insert((n,) for n in range(4))
    return Number


@pytest.fixture(params=["make", "make_many", "both"])
def tried(request, schema, number):
    """A table whose makes call `before` first."""

    class Tried(dj.Computed):
        definition = "-> Number"
        before = staticmethod(lambda key: None)

        if request.param != "make_many":

            def make(self, key):
                self.before(key)
                self.insert1(key)

        if request.param != "make":

            def make_many(self, keys):
                for key in keys:
                    self.before(key)
                self.insert(keys)

    return schema(Tried)


def failing(error):
    def before(key):
        if key["n"] == 1:
            raise error

    return staticmethod(before)


@pytest.mark.parametrize("error", [MuteError, StopError, asyncio.CancelledError, GeneratorExit])
def test_whatever_a_make_raises_is_an_error_of_its_key(tried, monkeypatch, error):
    monkeypatch.setattr(tried, "before", failing(error))

    result = tried.populate(suppress_errors=True)

    assert result["success_count"] == 3
    ((key, message),) = result["error_list"]
    assert key == {"n": 1}
    assert error.__name__ in message
    (record,) = tried.jobs.errors.to_dicts()
    assert (record["cause"], record["error_message"]) == ("user", message)
    with pytest.raises(error):
        tried.populate()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_make_that_ends_its_users_own_process_leaves_no_record(tried, monkeypatch, error):
    monkeypatch.setattr(tried, "before", failing(error))

    with pytest.raises(error):
        tried.populate(suppress_errors=True)

    assert len(tried.jobs) == 0
    monkeypatch.undo()
    tried.populate()
    assert len(tried()) == 4
