"""Animals, sessions and requests for the example, and everything that is computed from them."""

from __future__ import annotations

from examples.counts import counts
from examples.ephys import ephys, lab, probe, report
from examples.ephys.pipeline import SCHEMAS

SUBJECTS = [
    ("M01", "C57BL/6J", "female", "2024-01-09", "21.50"),
    ("M02", "PV-Cre", "male", "2024-02-14", None),
]
#: Subject, session, start.
SESSIONS = [
    ("M01", 1, "2024-05-02 09:30:00"),
    ("M01", 2, "2024-05-03 10:05:00"),
    ("M02", 1, "2024-05-06 14:00:00"),
]
#: Subject, session, insertion, probe.
INSERTIONS = [
    ("M01", 1, 0, "L8-0031"),
    ("M01", 1, 1, "S16-0007"),
    ("M01", 2, 0, "L8-0031"),
    ("M02", 1, 0, "S16-0007"),
]
#: Anterior, lateral, depth [µm], tilt [degrees], by insertion; the last one nobody measured.
LOCATIONS = [
    ("bregma", "-2300.00", "1500.50", "2100.00", "12.50"),
    ("bregma", "-2300.00", "-1500.00", "1900.25", None),
    ("lambda", "1100.00", "900.00", "2500.00", "0.00"),
]


def fill() -> dict[str, int]:
    """Insert what people enter and compute the rest; twice is as good as once."""
    probe.ProbeType.insert_electrodes()
    lab.Subject.insert(
        (
            {"subject": subject, "strain": strain, "sex": sex, "birth_date": birth, "weight": g}
            for subject, strain, sex, birth, g in SUBJECTS
        ),
        skip_duplicates=True,
    )
    lab.Session.insert(
        (
            {"subject": subject, "session": session, "session_start": start}
            for subject, session, start in SESSIONS
        ),
        skip_duplicates=True,
    )
    ephys.Insertion.insert(INSERTIONS, skip_duplicates=True)
    ephys.InsertionLocation.insert(
        ((*place[:3], *where) for place, where in zip(INSERTIONS, LOCATIONS, strict=False)),
        skip_duplicates=True,
    )
    ephys.ClusteringParamSet.add(0, "threshold", "careful", {"threshold": 6.0})
    ephys.ClusteringParamSet.add(1, "threshold", "greedy", {"threshold": 4.5, "polarity": -1})
    ephys.Recording.populate()
    ephys.ClusteringTask.insert(
        ({**key, "paramset": 0} for key in ephys.Recording.keys()),  # noqa: SIM118 - rows' keys
        skip_duplicates=True,
    )
    first = (ephys.Recording & {"subject": "M01", "session": 1, "insertion": 0}).fetch1("KEY")
    ephys.ClusteringTask.insert1({**first, "paramset": 1}, skip_duplicates=True)
    for table in (
        ephys.LFP,
        ephys.Clustering,
        ephys.CuratedClustering,
        ephys.WaveformSet,
        ephys.QualityMetrics,
        report.UnitReport,
        report.InsertionReport,
    ):
        table.populate()
    return counts(SCHEMAS)
