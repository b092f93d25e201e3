"""Sessions, requests and imports for the example, and everything that is computed from them."""

from __future__ import annotations

import numpy as np

from examples.counts import counts
from examples.merge import common, lfp, sorting
from examples.merge.pipeline import SCHEMAS
from examples.merge.voltages import DURATION_S, RATE_HZ, read

#: Subject, file, start.
SESSIONS = [
    ("Wilbur", "wilbur_day1.dat", "2023-09-11 10:00:00"),
    ("Wilbur", "wilbur_day2.dat", "2023-09-12 10:00:00"),
    ("Rizzo", "rizzo_day1_sorted.dat", "2023-10-02 11:00:00"),
]
#: Name, from and to [s].
INTERVALS = [
    ("whole session", [[0.0, DURATION_S]]),
    ("run", [[0.5, 1.5], [2.0, 3.5]]),
]
#: Group, region, wires of each tetrode.
GROUPS = [(0, "CA1", (0, 1, 2, 3)), (1, "mPFC", (4, 5, 6, 7))]
#: A wire that broke, in all sessions.
BAD_WIRE = 2


def fill() -> dict[str, int]:
    """Insert what people enter and compute the rest; twice is as good as once."""
    for subject, file, start in SESSIONS:
        _insert_session(subject, file, start)
    _fill_lfp()
    _fill_sorting()
    return counts(SCHEMAS)


def _insert_session(subject: str, file: str, start: str) -> None:
    common.Subject.insert1({"subject": subject}, skip_duplicates=True)
    common.RecordingFile.insert1({"file_name": file}, skip_duplicates=True)
    common.Session.insert1((file, subject, start), skip_duplicates=True)
    common.IntervalList.insert(
        ((file, name, np.array(times)) for name, times in INTERVALS), skip_duplicates=True
    )
    for group, region, wires in GROUPS:
        common.ElectrodeGroup.insert1((file, group, region), skip_duplicates=True)
        common.Electrode.insert(
            ((file, group, wire, wire == BAD_WIRE) for wire in wires), skip_duplicates=True
        )


def _fill_lfp() -> None:
    for _, file, _ in SESSIONS[:2]:
        group = {"file_name": file, "lfp_group": "hippocampus"}
        lfp.LFPElectrodeGroup.insert1(group, skip_duplicates=True)
        wires = common.Electrode & {"file_name": file, "electrode_group": 0, "is_bad": False}
        lfp.LFPElectrodeGroup.LFPElectrode.insert(
            ({**group, **wire} for wire in wires.proj()), skip_duplicates=True
        )
        lfp.LFPSelection.insert1(
            {
                **group,
                "target_interval": "run",
                "filter_name": "lfp 0-400",
                "filter_rate": RATE_HZ,
                "team": "memory",
            },
            skip_duplicates=True,
        )
    lfp.LFP.populate()
    guest = SESSIONS[2][1]
    lfp.ImportedLFP.insert1(
        {
            "file_name": guest,
            "series": "visitor",
            "interval_name": "whole session",
            "lfp_rate": RATE_HZ,
            "lfp": np.stack([read(guest, wire) for wire in (0, 1)]),
        },
        skip_duplicates=True,
    )
    lfp.LFPOutput.add("LFP", lfp.LFP.keys())
    lfp.LFPOutput.add("ImportedLFP", lfp.ImportedLFP.keys())
    lfp.ThetaPower.populate()


def _fill_sorting() -> None:
    for _, file, _ in SESSIONS[:2]:
        group = {"file_name": file, "sort_group": 0}
        sorting.SortGroup.insert1(group, skip_duplicates=True)
        wires = common.Electrode & {"file_name": file, "electrode_group": 0}
        sorting.SortGroup.SortElectrode.insert(
            ({**group, **wire} for wire in wires.proj()), skip_duplicates=True
        )
        sorting.SortRecordingSelection.insert_selection(
            {**group, "interval_name": "run", "preprocessing": "skip bad", "team": "decisions"}
        )
    sorting.SortRecording.populate()
    for recording in sorting.SortRecording.keys():  # noqa: SIM118 - rows' keys
        for depth in (80, 120):
            sorting.SortingSelection.insert_selection(
                {**recording, "sorter": "crossing", "sorter_paramset": f"{depth} uV"}
            )
    sorting.Sorting.populate()
    for found in sorting.Sorting & (sorting.SortingSelection & {"sorter_paramset": "80 uV"}):
        key = {"sorting_id": found["sorting_id"]}
        labels = {str(unit): "good" for unit in range(found["n_units"])}
        sorting.Curation.insert(
            [
                {**key, "curation": 0, "parent_curation": None, "labels": labels},
                {**key, "curation": 1, "parent_curation": 0, "labels": {**labels, "1": "noise"}},
            ],
            skip_duplicates=True,
        )
    sorting.ImportedSorting.populate()
    sorting.SpikeOutput.add("Curation", (sorting.Curation & {"curation": 1}).keys())
    sorting.SpikeOutput.add("ImportedSorting", sorting.ImportedSorting.keys())
    sorting.UnitRate.populate()
