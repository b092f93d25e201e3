"""Trials, and what they say of a session, a day and an animal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

import djq as dj
from examples.behavior import colony
from examples.behavior.acquisition import (
    CompleteTrials,
    CompleteWheel,
    ExcludedSession,
    Session,
)
from examples.behavior.decisions import Trial, curve, decide, turn

schema = dj.Schema()

#: Share of correct trials in a row of sessions from which an animal counts as trained.
TRAINED_SHARE, TRAINED_SESSIONS = 0.75, 2
#: How much better an animal gets from session to session.
SKILL_PER_SESSION = 0.3


@schema
class TrialSet(dj.Imported):
    definition = """
    # Trials of a session
    -> Session
    ---
    n_trials : int32
    n_correct : int32
    """

    class Trial(dj.Part):
        definition = """
        # One decision
        -> master
        trial : int16
        ---
        contrast : float64               # left is negative
        prob_left : decimal(2,1)         # share of trials on the left, in this block
        choice : enum('left', 'right', 'none')
        is_correct : bool
        response_time = null : float64   # s; null without a choice
        """

    @property
    def key_source(self) -> dj.Query:
        return CompleteTrials - ExcludedSession

    def make(self, key: dict[str, Any]) -> None:
        trials = trials_of(key)
        n_correct = sum(trial.is_correct for trial in trials)
        self.insert1({**key, "n_trials": len(trials), "n_correct": n_correct})
        names = {-1: "left", 0: "none", 1: "right"}
        self.Trial.insert(
            {
                **key,
                "trial": i,
                "contrast": trial.contrast,
                "prob_left": Decimal(str(trial.prob_left)),
                "choice": names[trial.choice],
                "is_correct": trial.is_correct,
                "response_time": trial.response_s,
            }
            for i, trial in enumerate(trials)
        )


@schema
class Wheel(dj.Imported):
    definition = """
    # Where the wheel was
    -> Session
    ---
    position : <blob@wheel>      # (n_samples,) float32, turns
    range_turned : float32       # turns between the farthest positions
    """

    @property
    def key_source(self) -> dj.Query:
        return (CompleteWheel & CompleteTrials) - ExcludedSession.proj()

    def make(self, key: dict[str, Any]) -> None:
        position = turn(trials_of(key))
        self.insert1({**key, "position": position, "range_turned": float(np.ptp(position))})


@schema
class PsychCurve(dj.Computed):
    definition = """
    # How often right was chosen, block by block: several rows come of one session
    -> TrialSet
    prob_left : decimal(2,1)
    ---
    contrasts : <blob>           # (n_contrasts,) float64, ascending
    n_trials_at : <blob>         # (n_contrasts,) int64
    n_right_at : <blob>          # (n_contrasts,) int64
    bias = null : float64        # null where no trial was blank
    """

    @property
    def key_source(self) -> dj.Query:
        # Coarser than the key: which blocks there are is known when the trials are read.
        # By block it would be dj.U(*self.primary_key) & TrialSet.Trial.
        is_biased = Session & {"protocol": "biased"}
        return TrialSet & [dj.AndList([is_biased, "n_trials >= 100"]), "n_correct >= 80"]

    def make(self, key: dict[str, Any]) -> None:
        trials = (TrialSet.Trial & key).to_dicts(order_by="trial")
        signs = {"left": -1, "none": 0, "right": 1}
        for prob_left in sorted({trial["prob_left"] for trial in trials}):
            block = [trial for trial in trials if trial["prob_left"] == prob_left]
            found = curve(
                np.array([trial["contrast"] for trial in block]),
                np.array([signs[trial["choice"]] for trial in block]),
            )
            self.insert1(
                {
                    **key,
                    "prob_left": prob_left,
                    "contrasts": found.contrasts,
                    "n_trials_at": found.n_trials,
                    "n_right_at": found.n_right,
                    "bias": found.bias,
                }
            )


@schema
class DailySummary(dj.Computed):
    definition = """
    # An animal's day, whatever the number of sessions
    -> colony.Subject
    day : date
    ---
    n_sessions : int16
    n_day_trials : int32
    share_correct : float64
    """

    @property
    def key_source(self) -> dj.Query:
        # Due when no session of the animal waits for its trials any more. By day it would be
        # dj.U("subject_uuid", "day") & TrialSet.proj(day="DATE(session_start)").
        waiting = TrialSet().key_source - TrialSet
        return (colony.Subject & TrialSet) - waiting

    def make(self, key: dict[str, Any]) -> None:
        by_day: dict[Any, list[dict[str, Any]]] = {}
        for row in TrialSet & key:
            by_day.setdefault(row["session_start"].date(), []).append(row)
        self.insert(
            {
                **key,
                "day": day,
                "n_sessions": len(rows),
                "n_day_trials": (n_trials := sum(row["n_trials"] for row in rows)),
                "share_correct": sum(row["n_correct"] for row in rows) / n_trials,
            }
            for day, rows in by_day.items()
        )


@schema
class TrainingStage(dj.Lookup):
    definition = """
    # How far an animal is
    stage : varchar(16)
    """
    contents = zip(["untrained", "in training", "trained"], strict=False)


@schema
class TrainingStatus(dj.Computed):
    definition = """
    # How far an animal was after a session
    -> TrialSet
    ---
    -> TrainingStage
    n_good_sessions : int16      # in a row, this one included
    """

    @property
    def key_source(self) -> dj.Query:
        # One session after the other: the one before has its row, or will never have one.
        never = Session.proj() - TrialSet().key_source
        before = {"previous_start": "session_start"}
        is_next = ["previous_start is null", TrainingStatus.proj(**before), never.proj(**before)]
        return TrialSet & (Session & is_next)

    def make(self, key: dict[str, Any]) -> None:
        n_trials, n_correct = (TrialSet & key).fetch1("n_trials", "n_correct")
        n_good = 0
        if n_correct / n_trials >= TRAINED_SHARE:
            n_good = 1 + self._n_good_before(key)
        stage = "trained" if n_good >= TRAINED_SESSIONS else "in training"
        self.insert1({**key, "stage": stage, "n_good_sessions": n_good})

    def _n_good_before(self, key: dict[str, Any]) -> int:
        """Return the count at the session before, which is a row of this table."""
        previous = (Session & key).fetch1("previous_start")
        found = (self & {**key, "session_start": previous}).fetch("n_good_sessions")
        return int(found.sum())


@schema
class SubjectSummary(dj.Computed):
    definition = """
    # An animal's life so far
    -> colony.Subject
    ---
    n_sessions : int32
    lightest : decimal(5,2)      # g
    latest : datetime            # when anything was last done with it
    n_offspring : int32
    """

    @property
    def key_source(self) -> dj.Query:
        return colony.Subject & Session & colony.Weighing

    def make(self, key: dict[str, Any]) -> None:
        subject = colony.Subject & key
        sessions = subject.aggr(Session, n_sessions="count(*)", last="max(session_start)")
        weighed = subject.aggr(
            colony.Weighing, lightest="min(weight)", last_weighed="max(weighing_time)"
        )
        both = (sessions * weighed).proj(
            "n_sessions", "lightest", latest="greatest(last, last_weighed)"
        )
        self.insert1({**both.fetch1(), "n_offspring": len(offspring_of(key))})


def offspring_of(key: dict[str, Any]) -> dj.Query:
    """Return the animals whose father or mother is the given one."""
    parent = key["subject_uuid"]
    pairs = colony.BreedingPair & [
        {"father": parent},
        {"mother1": parent},
        {"mother2": parent},
    ]
    return colony.Subject & (colony.LitterSubject & pairs.proj())


def trials_of(key: dict[str, Any]) -> list[Trial]:
    """Read the files of a session: here they are simulated, better from session to session."""
    session = Session & key
    n_before = 0
    previous = session.fetch1("previous_start")
    while previous is not None:
        n_before += 1
        before = {"subject_uuid": key["subject_uuid"], "session_start": previous}
        previous = (Session & before).fetch1("previous_start")
    skill = min(SKILL_PER_SESSION * (1 + n_before), 0.95)
    is_biased = session.fetch1("protocol") == "biased"
    return decide(str(session.fetch1("session_uuid")), skill=skill, is_biased=is_biased)
