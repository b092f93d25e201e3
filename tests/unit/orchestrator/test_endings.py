"""When a worker ends by itself."""

from __future__ import annotations

import pytest

from djq.errors import UsageError
from djq.orchestrator.endings import Endings, Rules, Sight, Verdict, read_duration

IDLE = Sight(n_slots=2, n_busy=0, n_begun=0, n_waiting=0)


def sight(*, busy: int = 0, begun: int = 0, waiting: int | None = 0) -> Sight:
    return Sight(n_slots=2, n_busy=busy, n_begun=begun, n_waiting=waiting)


def verdicts(endings: Endings, *looks: tuple[float, Sight]) -> list[Verdict]:
    return [endings.decide(now, its)[0] for now, its in looks]


def test_a_worker_without_rules_stays():
    endings = Endings(Rules(), began=0.0)
    assert verdicts(endings, (1e6, IDLE), (2e6, IDLE)) == [Verdict.STAY] * 2


def test_an_idle_worker_ends_when_there_was_nothing_to_do_for_long_enough():
    endings = Endings(Rules(idle_s=10), began=100.0)
    assert verdicts(endings, (109.0, IDLE), (110.0, IDLE)) == [Verdict.STAY, Verdict.DRAIN]


@pytest.mark.parametrize(
    "activity", [sight(busy=1), sight(begun=1), sight(waiting=1), sight(waiting=None)]
)
def test_work_of_any_kind_makes_the_idle_time_begin_anew(activity):
    endings = Endings(Rules(idle_s=10), began=0.0)
    idle = sight(begun=activity.n_begun)
    looks = ((9.0, activity), (18.9, idle), (19.0, idle))
    assert verdicts(endings, *looks) == [Verdict.STAY, Verdict.STAY, Verdict.DRAIN]


def test_a_worker_ends_early_enough_for_the_grace_period():
    endings = Endings(Rules(max_time_s=3600, grace_s=600), began=0.0)
    busy = sight(busy=2, begun=1)
    assert verdicts(endings, (2999.0, busy), (3000.0, busy)) == [Verdict.STAY, Verdict.DRAIN]


def test_a_time_within_the_grace_period_is_refused():
    with pytest.raises(UsageError, match=r"20 s in all.*30 s.*grace_s"):
        Rules(max_time_s=20, grace_s=30)


def test_a_worker_that_begins_nothing_beside_waiting_messages_fails():
    endings = Endings(Rules(stuck_s=120), began=0.0)
    stuck = sight(waiting=3)
    looks = ((10.0, stuck), (129.0, stuck), (130.0, stuck))
    assert verdicts(endings, *looks) == [Verdict.STAY, Verdict.STAY, Verdict.FAIL]


@pytest.mark.parametrize(
    "between",
    [sight(begun=1, waiting=3), sight(waiting=0), sight(busy=2, waiting=3), sight(waiting=None)],
)
def test_a_worker_that_begins_something_or_has_no_slot_free_is_not_stuck(between):
    endings = Endings(Rules(stuck_s=120), began=0.0)
    after = sight(begun=between.n_begun, waiting=3)
    looks = ((0.0, sight(waiting=3)), (100.0, between), (125.0, after), (200.0, after))
    assert verdicts(endings, *looks) == [Verdict.STAY] * 4


def test_a_verdict_says_why():
    endings = Endings(Rules(stuck_s=1), began=0.0)
    endings.decide(0.0, sight(busy=1, waiting=3))
    assert "3 messages wait, 1 slots are free" in endings.decide(5.0, sight(busy=1, waiting=3))[1]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172800)),
        *(("04:00:00", 14400), ("1-12:00:30", 129630)),
    ],
)
def test_durations_are_read_as_people_and_batch_systems_write_them(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "4 hours", "-1", "1:00"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match="is no duration"):
        read_duration(text)
