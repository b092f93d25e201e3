"""A family of mice and their sessions, and everything that is computed from them."""

from __future__ import annotations

import uuid

from examples.behavior import acquisition, analysis, colony
from examples.behavior.pipeline import SCHEMAS
from examples.counts import counts

#: Identifiers of the example lie in a namespace of their own.
NAMES = uuid.UUID("0d3c0f7a-7f0c-4e0b-9c43-52f1a3a1b9de")

#: Nickname, lab, sex, birth.
SUBJECTS = [
    ("Odin", "hill", "M", None),
    ("Frigg", "hill", "F", None),
    ("Jord", "hill", "F", None),
    ("Thor", "hill", "M", "2024-01-20"),
    ("Baldr", "harbour", "M", "2024-01-20"),
]
#: Nickname, start, protocol, whether the files of trials and wheel arrived.
SESSIONS = [
    ("Thor", "2024-04-01 09:00:00", "training", True, True),
    ("Thor", "2024-04-01 15:00:00", "training", True, False),
    ("Thor", "2024-04-02 09:00:00", "biased", True, True),
    ("Thor", "2024-04-03 09:00:00", "biased", True, True),
    ("Baldr", "2024-04-02 11:00:00", "training", True, True),
    ("Baldr", "2024-04-03 11:00:00", "biased", True, False),
    ("Baldr", "2024-04-04 11:00:00", "biased", False, True),
]
#: Nickname, time, weight [g].
WEIGHINGS = [
    ("Thor", "2024-04-01 08:00:00", "24.10"),
    ("Thor", "2024-04-04 08:00:00", "23.75"),
    ("Baldr", "2024-04-02 08:00:00", "22.00"),
    ("Odin", "2024-04-02 08:10:00", "27.30"),
]


def name(text: str) -> uuid.UUID:
    """Return the same identifier for the same text."""
    return uuid.uuid5(NAMES, text)


def fill() -> dict[str, int]:
    """Insert what people enter and compute the rest; twice is as good as once."""
    _insert_family()
    _insert_sessions()
    for table in (
        acquisition.CompleteTrials,
        acquisition.CompleteWheel,
        analysis.TrialSet,
        analysis.Wheel,
        analysis.PsychCurve,
        analysis.DailySummary,
        analysis.SubjectSummary,
    ):
        table.populate()
    # A session is due when the one before it has its row.
    while analysis.TrainingStatus.populate()["success_count"]:
        pass
    return counts(SCHEMAS)


def _insert_family() -> None:
    colony.Subject.insert(
        ((name(nick), lab, nick, sex, birth) for nick, lab, sex, birth in SUBJECTS),
        skip_duplicates=True,
    )
    pairs = [
        {
            "pair": "cage 4",
            "father": name("Odin"),
            "mother1": name("Frigg"),
            "mother2": name("Jord"),
        },
        {"pair": "cage 7", "father": name("Odin"), "mother1": None, "mother2": None},
    ]
    colony.BreedingPair.insert(
        ({"line": "wild type", **pair} for pair in pairs), skip_duplicates=True
    )
    colony.Litter.insert([("wild type", "cage 4", 1, "2024-01-20", 6)], skip_duplicates=True)
    colony.LitterSubject.insert(
        ((name(nick), "wild type", "cage 4", 1) for nick in ("Thor", "Baldr")),
        skip_duplicates=True,
    )
    colony.Weighing.insert(
        ((name(nick), time, weight) for nick, time, weight in WEIGHINGS), skip_duplicates=True
    )


def _insert_sessions() -> None:
    before: dict[str, str] = {}
    for nick, start, protocol, has_trials, has_wheel in SESSIONS:
        key = {"subject_uuid": name(nick), "session_start": start}
        acquisition.Session.insert1(
            {
                **key,
                "session_uuid": name(f"{nick} {start}"),
                "protocol": protocol,
                "previous_start": before.get(nick),
            },
            skip_duplicates=True,
        )
        before[nick] = start
        files = acquisition.TRIAL_FILES * has_trials + acquisition.WHEEL_FILES * has_wheel
        acquisition.DataSet.insert(
            ({**key, "dataset_type": file, "n_bytes": 1_000} for file in files),
            skip_duplicates=True,
        )
    last = {"subject_uuid": name("Thor"), "session_start": "2024-04-03 09:00:00"}
    acquisition.ExcludedSession.insert1({**last, "reason": "screen was off"}, skip_duplicates=True)
