"""`LocalClaims`: the keys of one call, handed out to processes that nobody else competes with."""

from __future__ import annotations

import pytest

from djq.populate.make import Outcome
from djq.populate.reservations import LocalClaims, Settlement, Taken

KEYS = ["[1]", "[2]", "[3]"]


@pytest.fixture
def claims() -> LocalClaims:
    """Three due keys, all of them read."""
    claims = LocalClaims()
    claims.share(claims.take("1", 1), KEYS, is_last=True)
    return claims


def keys_left(claims: LocalClaims) -> list[str]:
    """Take and release chunk after chunk, until nothing is left."""
    found: list[str] = []
    while (taken := claims.take("2", len(KEYS))).keys:
        found += taken.keys
        settlement = Settlement(taken)
        for key in taken.keys:
            settlement.note(key, Outcome({}, "made"))
        claims.release(settlement)
    assert taken.is_done
    return found


def test_of_a_dead_process_only_keys_without_an_outcome_come_again(claims: LocalClaims) -> None:
    settlement = Settlement(claims.take("1", 3))
    settlement.note("[1]", Outcome({}, "failed"))
    claims.lose(settlement, "[2]")
    assert keys_left(claims) == ["[2]", "[3]"]


def test_what_a_dead_process_gave_back_comes_again(claims: LocalClaims) -> None:
    settlement = Settlement(claims.take("1", 3))
    settlement.note("[1]", Outcome({}, "made"))
    settlement.note("[2]", Outcome({}, "returned"))
    claims.lose(settlement, "")
    assert sorted(keys_left(claims)) == ["[2]", "[3]"]


def test_a_key_that_a_process_died_with_is_taken_alone_and_counted(claims: LocalClaims) -> None:
    claims.lose(Settlement(claims.take("1", 3)), "[2]")
    assert claims.take("1", 3) == Taken("1", ("[1]",))
    taken = claims.take("2", 3)
    assert (taken.keys, taken.losses) == (("[2]",), {"[2]": 1})


def test_one_of_several_keys_that_a_process_died_with_is_not_counted(claims: LocalClaims) -> None:
    claims.lose(Settlement(claims.take("1", 3)), "")
    taken = claims.take("1", 3)
    assert (taken.keys, taken.losses) == (("[1]",), {})
