"""The examples on every database: declared, filled twice, emptied of one animal, described."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from djq.codecs import registry as codecs
from djq.definition import spec as specs
from djq.errors import DjqError, DuplicateError
from djq.settings import load
from tests.integration.example_checks import CHECKS, Example
from tests.integration.example_counts import COUNTS
from tests.support.processes import environment
from tests.support.servers import drop_databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import djq as dj

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(
    schema_name: str, connection: dj.Connection, database_url: str
) -> Iterator[Callable[[str], Example]]:
    """Load an example by name; its module is forgotten after the test, its schemas are dropped."""
    made: list[Example] = []
    before = dict(sys.modules)

    def load_example(name: str) -> Example:
        forget(name)
        found = Example(name)
        made.append(found)
        found.pipeline.activate(f"{schema_name}_", connection)
        return found

    yield load_example
    for found in made:
        forget(found.name)
        sys.modules.update({n: m for n, m in before.items() if n.startswith("examples.")})
        if not database_url.startswith("sqlite"):
            for schema in reversed(found.schemas):  # children go first
                if schema.is_activated():
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


LEVELS = """
from djq.populate.pipeline import load_pipeline
from djq.populate.levels import levels
from djq.populate.plan import progress

found = load_pipeline([f"examples.{name}.workers" for name in %r])
for level in levels(found.tables.values()):
    print(*sorted(t.spec.class_name for t in level if progress(t).due == 0))
"""


def test_workers_load_the_examples_and_know_what_comes_first(tmp_path):
    settings = load(
        database_url=f"sqlite:///{tmp_path / 'own.sqlite'}", state_dir=tmp_path / ".djq"
    )

    done = subprocess.run(
        [sys.executable, "-c", LEVELS % [*COUNTS]],
        env={**environment(settings), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    order = {t: i for i, level in enumerate(done.stdout.splitlines()) for t in level.split()}
    for before, after in [
        ("CuratedClustering", "WaveformSet"),
        ("WaveformSet", "QualityMetrics"),
        ("WaveformSet", "UnitReport"),
        ("ScanInfo", "Processing"),
        ("MotionCorrection", "Activity"),
        ("CompleteTrials", "TrialSet"),
        ("CompleteWheel", "Wheel"),
        ("TrialSet", "DailySummary"),
        ("TrialSet", "TrainingStatus"),
    ]:
        assert order[before] < order[after], done.stdout


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
