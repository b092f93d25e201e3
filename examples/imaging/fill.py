"""Mice, scans and requests for the example, and everything that is computed from them."""

from __future__ import annotations

from examples.counts import counts
from examples.imaging import imaging, scan
from examples.imaging.pipeline import SCHEMAS

MICE = [(101, "GCaMP6f"), (102, "GCaMP8m")]
SESSIONS = [(101, "2024-03-01"), (101, "2024-03-04"), (102, "2024-03-05")]
#: Mouse, day, scan, microscope, objective, channels, note.
SCANS = [
    (101, "2024-03-01", 1, "mesoscope", "16x water", 2, ""),
    (101, "2024-03-01", 2, "mesoscope", None, 1, "aborted"),
    (101, "2024-03-04", 1, "mesoscope", "10x air", 2, "a bit dim"),
    (102, "2024-03-05", 1, "bench", None, 1, ""),
]
#: Mouse, day, scan, parameters. The second scan has no file and stays a request.
TASKS = [
    (101, "2024-03-01", 1, 0),
    (101, "2024-03-01", 1, 1),
    (101, "2024-03-01", 2, 0),
    (101, "2024-03-04", 1, 1),
    (102, "2024-03-05", 1, 0),
]


def fill() -> dict[str, int]:
    """Insert what people enter and compute the rest; twice is as good as once."""
    scan.Mouse.insert(MICE, skip_duplicates=True)
    scan.Session.insert(SESSIONS, skip_duplicates=True)
    scan.Scan.insert(SCANS, skip_duplicates=True)
    names = imaging.ProcessingTask.primary_key
    imaging.ProcessingTask.insert(
        (dict(zip(names, task, strict=True)) for task in TASKS), skip_duplicates=True
    )
    for table in (
        scan.ScanInfo,
        imaging.Processing,
        imaging.MotionCorrection,
        imaging.Segmentation,
        imaging.MaskClassification,
        imaging.Fluorescence,
        imaging.Activity,
    ):
        table.populate()
    return counts(SCHEMAS)
