"""The examples on every database: declared, filled twice, emptied of one animal, described."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from djq.codecs import registry as codecs
from djq.definition import spec as specs
from djq.errors import DjqError, DuplicateError
from djq.settings import load
from examples.counts import tables
from tests.support.processes import environment
from tests.support.servers import drop_databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import djq as dj

ROOT = Path(__file__).parents[2]

COUNTS = {
    "ephys": {
        "ProbeType": 2,
        "ProbeType.Electrode": 24,
        "Probe": 2,
        "ElectrodeConfig": 2,
        "ElectrodeConfig.Electrode": 16,
        "Strain": 3,
        "Subject": 2,
        "Session": 3,
        "SkullReference": 2,
        "AcquisitionSystem": 2,
        "Insertion": 4,
        "InsertionLocation": 3,
        "Recording": 4,
        "Recording.File": 8,
        "LFP": 4,
        "LFP.Trace": 32,
        "ClusteringMethod": 1,
        "ClusteringParamSet": 2,
        "ClusteringTask": 5,
        "Clustering": 5,
        "QualityLabel": 3,
        "CuratedClustering": 5,
        "CuratedClustering.Unit": 16,
        "WaveformSet": 5,
        "WaveformSet.PeakWaveform": 16,
        "WaveformSet.Waveform": 128,
        "QualityMetrics": 5,
        "QualityMetrics.Unit": 16,
        "UnitReport": 16,
        "InsertionReport": 5,
    },
    "imaging": {
        "Mouse": 2,
        "Session": 3,
        "Microscope": 2,
        "Objective": 2,
        "Channel": 4,
        "Scan": 4,
        "ScanInfo": 3,
        "ScanInfo.Field": 3,
        "ProcessingMethod": 2,
        "ProcessingParamSet": 2,
        "ProcessingTask": 5,
        "Processing": 4,
        "MotionCorrection": 4,
        "MotionCorrection.RigidMotionCorrection": 4,
        "MotionCorrection.NonRigidMotionCorrection": 2,
        "MotionCorrection.Block": 8,
        "MotionCorrection.Summary": 7,
        "Segmentation": 4,
        "Segmentation.Mask": 16,
        "MaskType": 3,
        "MaskClassificationMethod": 1,
        "MaskClassification": 4,
        "MaskClassification.MaskType": 16,
        "Fluorescence": 4,
        "Fluorescence.Trace": 28,
        "ActivityExtractionMethod": 2,
        "Activity": 6,
        "Activity.Trace": 24,
    },
    "behavior": {
        "Lab": 2,
        "Line": 2,
        "Subject": 5,
        "BreedingPair": 2,
        "Litter": 1,
        "LitterSubject": 2,
        "Weighing": 4,
        "Session": 7,
        "DataSetType": 4,
        "DataSet": 23,
        "ExcludedSession": 1,
        "CompleteTrials": 6,
        "CompleteWheel": 5,
        "TrialSet": 5,
        "TrialSet.Trial": 720,
        "Wheel": 3,
        "PsychCurve": 8,
        "DailySummary": 4,
        "TrainingStage": 3,
        "TrainingStatus": 5,
        "SubjectSummary": 2,
    },
    "merge": {
        "Team": 2,
        "Subject": 2,
        "RecordingFile": 3,
        "Session": 3,
        "IntervalList": 10,
        "ElectrodeGroup": 6,
        "Electrode": 24,
        "FilterParam": 2,
        "LFPElectrodeGroup": 2,
        "LFPElectrodeGroup.LFPElectrode": 6,
        "LFPSelection": 2,
        "LFP": 2,
        "ImportedLFP": 1,
        "LFPOutput": 3,
        "LFPOutput.LFP": 2,
        "LFPOutput.ImportedLFP": 1,
        "ThetaPower": 3,
        "SortGroup": 2,
        "SortGroup.SortElectrode": 8,
        "PreprocessingParam": 2,
        "SorterParam": 2,
        "SortRecordingSelection": 2,
        "SortRecording": 2,
        "SortingSelection": 4,
        "Sorting": 4,
        "Sorting.Unit": 12,
        "Curation": 4,
        "ImportedSorting": 1,
        "ImportedSorting.Unit": 1,
        "SpikeOutput": 3,
        "SpikeOutput.Curation": 2,
        "SpikeOutput.ImportedSorting": 1,
        "UnitRate": 3,
        "UnitRate.Rate": 5,
    },
}


class Example:
    """A freshly imported example, activated under names of the test's own."""

    def __init__(self, name: str, prefix: str, connection: dj.Connection) -> None:
        self.name, self.prefix = name, prefix
        self.pipeline = self.module("pipeline")
        self.pipeline.activate(prefix, connection)
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


@pytest.fixture
def example(
    schema_name: str, connection: dj.Connection, database_url: str
) -> Iterator[Callable[[str], Example]]:
    """Load an example by name; its module is forgotten after the test, its schemas are dropped."""
    made: list[Example] = []
    before = dict(sys.modules)

    def load_example(name: str) -> Example:
        forget(name)
        found = Example(name, f"{schema_name}_", connection)
        made.append(found)
        return found

    yield load_example
    for found in made:
        forget(found.name)
        sys.modules.update({n: m for n, m in before.items() if n.startswith("examples.")})
        if not database_url.startswith("sqlite"):
            for schema in reversed(found.schemas):  # children go first
                drop_databases(database_url, schema.name)


def forget(name: str) -> None:
    for module in [m for m in sys.modules if m.startswith(f"examples.{name}")]:
        del sys.modules[module]


@pytest.mark.parametrize("name", COUNTS)
def test_the_tables_of_an_example_are_described_by_text_that_means_the_same(example, name):
    found = example(name)
    by_class = {t.spec.class_name: t.spec for t in found.tables()}
    by_name = {t.spec.name: t.spec for t in found.tables()}

    for table in found.tables():
        text = table.describe()
        spec = specs.build(
            text,
            schema=table.spec.name.schema,
            class_name=table.__name__,
            tier=table.spec.tier,
            resolve=lambda written: resolve_in(by_class, written),
            master=by_name.get(table.spec.master),
            hidden=table.spec.hidden,
            words=specs.Words(codecs.names()),
        )
        assert spec.heading == table.spec.heading, text
        assert spec.foreign_keys == table.spec.foreign_keys, text
        assert set(spec.indexes) == set(table.spec.indexes), text
        assert spec.comment == table.spec.comment


def resolve_in(by_class: dict[str, specs.TableSpec], written: str) -> specs.TableSpec:
    """Find a table by what a description calls it, with or without a module or schema."""
    parts = written.split(".")
    return next(
        by_class[name]
        for name in (".".join(parts[i:]) for i in range(len(parts)))
        if name in by_class
    )


@pytest.mark.parametrize("name", COUNTS)
def test_an_example_runs_by_itself(name, tmp_path):
    settings = load(
        database_url=f"sqlite:///{tmp_path / 'own.sqlite'}", state_dir=tmp_path / ".djq"
    )

    done = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"],
        env={**environment(settings), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    printed = [line.split() for line in done.stdout.splitlines()]
    assert {table: int(n_rows) for n_rows, table in printed} == COUNTS[name]


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


def test_ephys_enters_a_selection_of_electrodes_once(example):
    probe = example("ephys").module("probe")
    probe.ProbeType.insert_electrodes()

    first = probe.ElectrodeConfig.add("staggered-16", [3, 1, 2])
    again = probe.ElectrodeConfig.add("staggered-16", [1, 2, 3])

    assert first == again
    assert len(probe.ElectrodeConfig) == 1
    assert sorted((probe.ElectrodeConfig.Electrode & first).fetch("electrode")) == [1, 2, 3]


def test_ephys_refuses_the_same_parameters_under_another_number(example):
    found = example("ephys")
    ephys = found.module("ephys")
    ephys.ClusteringParamSet.add(0, "threshold", "careful", {"a": 1, "b": 2})

    with pytest.raises(DuplicateError, match="unique"):
        ephys.ClusteringParamSet.add(1, "threshold", "the same", {"b": 2, "a": 1})


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
    assert set(single.fetch("confidence")) == {None}


def test_imaging_names_a_channel_as_each_table_needs_it(example):
    found = example("imaging")
    imaging, scan = found.module("imaging"), found.module("scan")

    assert "motion_correct_channel" not in imaging.MotionCorrection.primary_key
    assert "summary_channel" in imaging.MotionCorrection.Summary.primary_key
    assert "fluo_channel" in imaging.Activity.Trace.primary_key
    assert imaging.MaskType.spec.name in imaging.MaskClassification.MaskType.parent_specs
    lineages = {
        imaging.MotionCorrection.heading["motion_correct_channel"].lineage,
        imaging.Activity.Trace.heading["fluo_channel"].lineage,
    }
    assert lineages == {scan.Channel.heading["channel"].lineage}


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


@pytest.mark.parametrize("name", COUNTS)
def test_an_example_fills_its_tables_once_and_with_what_can_be_expected(example, name):
    found = example(name)

    assert found.fill() == COUNTS[name]
    assert found.fill() == COUNTS[name]
    for check in CHECKS[name]:
        check(found)


# --- deleting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "module", "restriction", "attribute"),
    [
        ("ephys", "lab", {"subject": "M01"}, "subject"),
        ("imaging", "scan", {"mouse": 101}, "mouse"),
        ("behavior", "colony", {"nickname": "Thor"}, "subject_uuid"),
    ],
)
def test_deleting_an_animal_leaves_nothing_of_it(example, name, module, restriction, attribute):
    found = example(name)
    found.fill()
    before = found.rows()
    master = found.module(module)
    animal = (master.Mouse if name == "imaging" else master.Subject) & restriction
    key = animal.fetch1("KEY")
    others = {
        t.spec.class_name: Counter(map(str, (t - key).keys()))
        for t in found.tables()
        if attribute in t.heading
    }

    animal.delete(prompt=False)

    after = found.rows()
    for table in found.tables():
        if attribute in table.heading:
            assert not table & key, table
    assert after == {**before, **others}
    assert sum(map(len, after.values())) < sum(map(len, before.values()))
    assert found.fill() == COUNTS[name]
    assert found.rows() == before


def test_deleting_a_father_takes_his_litters_and_leaves_his_children(example):
    found = example("behavior")
    found.fill()
    colony = found.module("colony")

    (colony.Subject & {"nickname": "Odin"}).delete(prompt=False)

    assert len(colony.BreedingPair) == len(colony.Litter) == len(colony.LitterSubject) == 0
    assert set(colony.Subject.fetch("nickname")) == {"Frigg", "Jord", "Thor", "Baldr"}
    assert len(found.module("acquisition").Session) == 7


def test_deleting_below_a_merge_table_takes_its_masters_only_when_told_so(example):
    found = example("merge")
    found.fill()
    common, lfp, sorting = (found.module(m) for m in ("common", "lfp", "sorting"))
    before = found.rows()
    wilbur = common.Subject & {"subject": "Wilbur"}

    with pytest.raises(DjqError, match="part_integrity"):
        wilbur.delete(prompt=False)
    assert found.rows() == before

    wilbur.delete(prompt=False, part_integrity="cascade")

    assert common.Session.fetch("file_name").tolist() == ["rizzo_day1_sorted.dat"]
    assert lfp.LFPOutput.fetch("source").tolist() == ["ImportedLFP"]
    assert sorting.SpikeOutput.fetch("source").tolist() == ["ImportedSorting"]
    assert len(sorting.Sorting) == len(sorting.Curation) == len(lfp.LFP) == 0
    assert len(lfp.ThetaPower) == len(sorting.UnitRate) == 1
    assert found.fill() == COUNTS["merge"]
    assert found.rows() == before
