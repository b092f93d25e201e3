"""What is kept of the outcomes of a chunk."""

from __future__ import annotations

from djq.populate.failures import JobError
from djq.populate.make import Outcome
from djq.populate.reservations import Settlement, Taken


def test_a_failed_key_that_is_tried_again_says_when() -> None:
    settlement = Settlement(Taken("main", ("[1]", "[2]")))
    again, final = JobError("a", "", "f", retry_after_s=3.0), JobError("b", "", "f")

    settlement.note("[1]", Outcome({"n": 1}, "failed", error=again))
    settlement.note("[2]", Outcome({"n": 2}, "failed", error=final))

    assert settlement.failed == {"[1]": "a", "[2]": "b"}
    assert settlement.retries == {"[1]": 3.0}
