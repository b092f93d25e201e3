"""An example at work, and what must hold of it when it is filled."""

from __future__ import annotations

import importlib
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from djq.errors import DjqError
from examples.counts import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class Example:
    """A freshly imported example: its schemas have no names yet, whatever other tests did."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pipeline = self.module("pipeline")
        self.schemas = self.pipeline.SCHEMAS

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"examples.{self.name}.{name}")

    def fill(self) -> dict[str, int]:
        return self.module("fill").fill()

    def tables(self) -> list[Any]:
        return tables(self.schemas)

    def rows(self) -> dict[str, Counter[str]]:
        """All keys of all tables."""
        return {t.spec.class_name: Counter(map(str, t.keys())) for t in self.tables()}


# --- ephys -------------------------------------------------------------------------------------


def ephys_units_have_their_spikes_waveforms_and_metrics(found: Example) -> None:
    ephys, probe = found.module("ephys"), found.module("probe")
    key = {"subject": "M01", "session": 1, "insertion": 0, "paramset": 0}
    unit = {**key, "unit": 1}

    units = (ephys.CuratedClustering.Unit & key).to_dicts(order_by="unit")
    electrode, times_s = (ephys.CuratedClustering.Unit & unit).fetch1("electrode", "spike_times")
    peak, trough = (ephys.WaveformSet.PeakWaveform & unit).fetch1("peak_waveform", "trough")
    everywhere = ephys.WaveformSet.Waveform & unit

    assert [(u["electrode"], u["n_spikes"]) for u in units] == [(1, 47), (4, 75), (6, 19)]
    assert [u["quality_label"] for u in units] == ["good", "good", "mua"]
    assert times_s.dtype == np.float64
    assert np.all(np.diff(times_s) > 0)
    assert peak.dtype == np.float32
    assert peak.min() == pytest.approx(trough)
    assert np.array_equal((everywhere & {"electrode": electrode}).fetch1("waveform"), peak)
    assert len(everywhere * probe.ProbeType.Electrode & "y <= 50") == 3


def ephys_keeps_what_nobody_measured_as_null(found: Example) -> None:
    ephys, lab = found.module("ephys"), found.module("lab")

    lone = (ephys.CuratedClustering.Unit & "n_spikes = 1").fetch1("KEY")
    second = {"subject": "M01", "session": 1, "insertion": 1}

    assert (ephys.QualityMetrics.Unit & lone).fetch1("isi_violations") is None
    assert (ephys.InsertionLocation & second).fetch1("depth", "tilt") == (Decimal("1900.25"), None)
    assert (lab.Subject & "weight is null").fetch1("subject") == "M02"
    assert set(ephys.ClusteringTask.fetch("task_mode")) == {"compute"}


def the_report_of_ephys_stands_on_a_virtual_module(found: Example) -> None:
    report, ephys = found.module("report"), found.module("ephys")
    upstream = report.upstream["ephys"]

    assert upstream.CuratedClustering.Unit is not ephys.CuratedClustering.Unit
    assert len(upstream.CuratedClustering.Unit()) == len(ephys.CuratedClustering.Unit)
    assert [(r["n_good"], r["n_spikes"]) for r in report.InsertionReport.to_dicts()] == [
        (2, 141),
        (2, 142),
        (2, 124),
        (1, 108),
        (2, 105),
    ]
    wide = report.UnitReport * ephys.CuratedClustering.Unit & "n_spikes >= 25"
    assert set(wide.fetch("peak_to_trough")) <= {1.2, 1.4, 1.6}


# --- imaging -----------------------------------------------------------------------------------


def imaging_processes_only_scans_that_were_read(found: Example) -> None:
    imaging = found.module("imaging")

    waiting = imaging.ProcessingTask - imaging.Processing

    assert [row["scan"] for row in waiting] == [2]
    assert waiting.fetch1("output_folder") == ""
    assert (imaging.ProcessingTask & {"mouse": 102}).fetch1("output_folder") == (
        "102_2024-03-05_001/paramset_0"
    )


def imaging_needs_blocks_for_events(found: Example) -> None:
    imaging = found.module("imaging")

    methods = Counter(imaging.Activity.fetch("extraction_method"))
    events = imaging.Activity & {"extraction_method": "events"}

    assert methods == {"dff": 4, "events": 2}
    assert len(events & imaging.MotionCorrection.NonRigidMotionCorrection) == len(events)
    trace = (imaging.Activity.Trace & events & {"mask": 0} & "session_date = '2024-03-01'").fetch1(
        "activity"
    )
    assert trace.shape == (60,)
    assert trace.min() >= 0


def imaging_finds_cells_and_their_markers(found: Example) -> None:
    imaging = found.module("imaging")
    key = {"mouse": 101, "session_date": "2024-03-01", "scan": 1, "paramset": 0}

    typed = imaging.Segmentation.Mask * imaging.MaskClassification.MaskType & key
    masks = typed.proj("mask_type", "centre_row", "centre_column", "segmentation_channel").to_dicts(
        order_by="centre_row"
    )

    assert [(m["centre_row"], m["centre_column"]) for m in masks] == [
        (8, 9),
        (10, 24),
        (24, 12),
        (25, 25),
    ]
    kinds = ["soma", "marked soma", "soma", "marked soma"]
    assert [m["mask_type"] for m in masks] == kinds
    assert {m["segmentation_channel"] for m in masks} == {0}
    single = imaging.MaskClassification.MaskType & {"mouse": 102}
    assert {mask["confidence"] for mask in single} == {None}


# --- behavior ----------------------------------------------------------------------------------


def behavior_makes_several_rows_of_one_session(found: Example) -> None:
    analysis, acquisition = found.module("analysis"), found.module("acquisition")
    biased = {"protocol": "biased"}

    curves = analysis.PsychCurve & (acquisition.sessions_of("Thor") & biased)
    chosen = analysis.TrialSet.Trial & "choice != 'none'"
    counted = {row["prob_left"]: row["n_trials_at"].sum() for row in curves}
    session = analysis.TrialSet & curves.proj()

    assert sorted(counted) == [Decimal("0.2"), Decimal("0.5"), Decimal("0.8")]
    for prob_left, n_trials in counted.items():
        assert n_trials == len(chosen & session & {"prob_left": prob_left}) > 50
    assert analysis.PsychCurve.populate() == {"success_count": 0, "error_list": []}


def behavior_leaves_out_what_is_incomplete_or_excluded(found: Example) -> None:
    analysis, acquisition = found.module("analysis"), found.module("acquisition")

    without = acquisition.Session - analysis.TrialSet

    assert sorted(str(start) for start in without.fetch("session_start")) == [
        "2024-04-03 09:00:00",  # excluded
        "2024-04-04 11:00:00",  # no trials
    ]
    position, turned = (analysis.Wheel & {"session_start": "2024-04-02 09:00:00"}).fetch1(
        "position", "range_turned"
    )
    assert position.shape == (180 * 20,)
    assert np.ptp(position) == pytest.approx(turned)


def behavior_sums_up_days_stages_and_lives(found: Example) -> None:
    analysis, colony = found.module("analysis"), found.module("colony")
    thor = colony.Subject & {"nickname": "Thor"}

    days = (analysis.DailySummary & thor).to_dicts(order_by="day")
    stages = (analysis.TrainingStatus & thor).to_dicts(order_by="session_start")
    life = (analysis.SubjectSummary & thor).fetch1()

    assert [(str(d["day"]), d["n_sessions"], d["n_day_trials"]) for d in days] == [
        ("2024-04-01", 2, 240),
        ("2024-04-02", 1, 180),
    ]
    assert [s["n_good_sessions"] for s in stages] == [0, 1, 2]
    assert stages[-1]["stage"] == "trained"
    assert (life["n_sessions"], life["lightest"]) == (4, Decimal("23.75"))
    assert str(life["latest"]) == "2024-04-04 08:00:00"
    assert life["n_offspring"] == 0


def behavior_knows_fathers_and_mothers(found: Example) -> None:
    analysis, colony = found.module("analysis"), found.module("colony")
    names = colony.Subject.proj("nickname")

    pairs = colony.BreedingPair * names.proj(father="subject_uuid", father_name="nickname")

    assert set(pairs.fetch("father_name")) == {"Odin"}
    for parent in ("Odin", "Frigg", "Jord"):
        key = (colony.Subject & {"nickname": parent}).fetch1("KEY")
        assert set(analysis.offspring_of(key).fetch("nickname")) == {"Thor", "Baldr"}


# --- merge -------------------------------------------------------------------------------------


def merge_outputs_stand_for_rows_of_either_pipeline(found: Example) -> None:
    lfp, sorting = found.module("lfp"), found.module("sorting")

    imported = lfp.LFPOutput().outputs_of({"file_name": "rizzo_day1_sorted.dat"})
    computed = lfp.LFPOutput().outputs_of({"file_name": "wilbur_day1.dat"})

    assert imported.fetch1("source") == "ImportedLFP"
    assert computed.fetch1("source") == "LFP"
    assert imported.origin().fetch1("lfp").shape == (2, 8000)
    assert computed.origin().fetch1("lfp").shape == (3, 8000)
    assert sorted(sorting.UnitRate.fetch("n_output_units")) == [1, 2, 2]
    of_curation = sorting.SpikeOutput & {"source": "Curation"} & {"output_id": "0" * 32}
    with pytest.raises(DjqError, match="no row"):
        of_curation.spike_times()


def merge_results_refer_twice_to_intervals(found: Example) -> None:
    lfp, common = found.module("lfp"), found.module("common")
    key = {"file_name": "wilbur_day1.dat"}

    asked, valid = (lfp.LFP & key).fetch1("target_interval", "interval_name")
    times = (common.IntervalList & key & {"interval_name": valid}).fetch1("valid_times")

    assert asked == "run"
    assert times == pytest.approx(np.array([[0.6, 1.4], [2.1, 3.4]]))
    parents = [f.parent for f in lfp.LFP.spec.foreign_keys]
    assert parents == [lfp.LFPSelection.spec.name, common.IntervalList.spec.name]


def merge_methods_of_a_mixin_work_on_restricted_tables(found: Example) -> None:
    common, sorting = found.module("common"), found.module("sorting")
    key = {"file_name": "wilbur_day1.dat"}

    below = {str(name): n for name, n in (common.Session & key).counts_below().items()}
    everything = common.Session().counts_below()
    above = (common.Session & key).rows_above()

    assert sum("lfp_selection" in name and n == 1 for name, n in below.items()) == 1
    assert sum("electrode_group" in name and n == 2 for name, n in below.items()) == 1
    assert sum(everything.values()) > sum(below.values())
    assert {len(rows) for rows in above.values()} == {1}
    assert len(above) == 2
    sorting_id, curation = (sorting.Curation & "curation = 1").keys(limit=1)[0].values()
    output = sorting.SpikeOutput().outputs_of({"sorting_id": sorting_id, "curation": curation})
    assert output.spike_times().keys() == {"0", "2"}


def merge_curations_follow_each_other(found: Example) -> None:
    sorting = found.module("sorting")

    later = sorting.Curation & "parent_curation is not null"

    assert set(later.fetch("parent_curation")) == {0}
    assert sorting.Curation.spec.foreign_keys[1].parent == sorting.Curation.spec.name


#: What must hold of an example that was filled.
CHECKS: dict[str, list[Callable[[Example], None]]] = {
    "ephys": [
        ephys_units_have_their_spikes_waveforms_and_metrics,
        ephys_keeps_what_nobody_measured_as_null,
        the_report_of_ephys_stands_on_a_virtual_module,
    ],
    "imaging": [
        imaging_processes_only_scans_that_were_read,
        imaging_needs_blocks_for_events,
        imaging_finds_cells_and_their_markers,
    ],
    "behavior": [
        behavior_makes_several_rows_of_one_session,
        behavior_leaves_out_what_is_incomplete_or_excluded,
        behavior_sums_up_days_stages_and_lives,
        behavior_knows_fathers_and_mothers,
    ],
    "merge": [
        merge_outputs_stand_for_rows_of_either_pipeline,
        merge_results_refer_twice_to_intervals,
        merge_methods_of_a_mixin_work_on_restricted_tables,
        merge_curations_follow_each_other,
    ],
}
