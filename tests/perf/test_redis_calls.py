"""How many round trips to Redis a chunk costs, counted by the server itself."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis

from djq.orchestrator.tasks import work
from djq.populate import tenure
from tests.integration.fleet import queued

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
N = 40


@pytest.fixture(autouse=True)
def _numbers(sums) -> None:
    sums.Number.insert((i, i) for i in range(N))


def scripts_of(redis_url: str, block) -> int:
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.config_resetstat()
        block()
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_a_chunk_of_quick_keys_costs_two_scripts(redis_url, workplace, sums) -> None:
    # Given: all scripts are loaded.
    work(sums.Square, queued(workplace, sums.Square, *range(1)), workplace)
    chunk = queued(workplace, sums.Square, *range(1, 31))
    # When, then: reserve and release, whatever the number of keys.
    n = scripts_of(redis_url, lambda: work(sums.Square, chunk, workplace))
    assert n == 2


def test_a_key_that_takes_long_costs_one_more(redis_url, workplace, sums, monkeypatch) -> None:
    # Given: a key takes longer than an answer is good for; what lies between two keys does not.
    monkeypatch.setattr(tenure, "FRESH_S", 0.25)
    monkeypatch.setenv("TEST_MAKE_S", "0.3")
    first = queued(workplace, sums.Square, *range(1))
    assert "made=1" in work(sums.Square, first, workplace)
    chunk = queued(workplace, sums.Square, *range(1, 5))
    # When, then: one more for each key, before its COMMIT.
    n = scripts_of(redis_url, lambda: work(sums.Square, chunk, workplace))
    assert n == 2 + 4


def test_a_chunk_in_other_hands_costs_one_script(redis_url, workplace, sums) -> None:
    chunk = queued(workplace, sums.Square, *range(10))
    work(sums.Square, chunk, workplace)
    n = scripts_of(redis_url, lambda: work(sums.Square, chunk, workplace))
    assert n == 1


def test_a_heartbeat_is_one_script(redis_url, workplace) -> None:
    workplace.beat()
    assert scripts_of(redis_url, workplace.beat) == 1


def test_a_pool_that_did_not_change_is_looked_at_without_redis(redis_url, workplace) -> None:
    workplace.watch([1, 2])
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.config_resetstat()
        workplace.watch([2, 1])
        assert "cmdstat_evalsha" not in client.info("commandstats")
