"""Spikes, sorted here or imported, and their one output."""

from __future__ import annotations

from typing import Any

import numpy as np

import djq as dj
from examples.merge import common
from examples.merge.mixins import LabTable, Merge, Selection
from examples.merge.voltages import Times, crossings, inside, intersection, read

schema = dj.Schema()


@schema
class SortGroup(LabTable, dj.Manual):
    definition = """
    # Wires that are sorted together
    -> common.Session
    sort_group : int8
    """

    class SortElectrode(LabTable, dj.Part):
        definition = """
        -> master
        -> common.Electrode
        """


@schema
class PreprocessingParam(LabTable, dj.Lookup):
    definition = """
    # What happens before sorting
    preprocessing : varchar(16)
    ---
    preprocessing_params : json
    """
    contents = [("none", {}), ("skip bad", {"skip": "bad"})]


@schema
class SorterParam(LabTable, dj.Lookup):
    definition = """
    # How spikes are found
    sorter : varchar(16)
    sorter_paramset : varchar(16)
    ---
    sorter_params : <blob>
    """

    @property
    def contents(self) -> list[tuple[str, str, dict[str, float]]]:  # type: ignore[override] # a property, as DataJoint allows
        """One row per depth."""
        return [("crossing", f"{depth} uV", {"depth": float(depth)}) for depth in (80, 120)]


@schema
class SortRecordingSelection(Selection, dj.Manual):
    definition = """
    # A request: cut these wires out of that interval
    recording_id : uuid
    ---
    -> SortGroup
    -> common.IntervalList
    -> PreprocessingParam
    -> common.Team
    """


@schema
class SortRecording(LabTable, dj.Computed):
    definition = """
    # Wires, ready to be sorted
    -> SortRecordingSelection
    ---
    -> common.IntervalList.proj(sorted_interval='interval_name')
    electrodes : <blob>              # (n_electrodes,) int64
    """

    def make(self, key: dict[str, Any]) -> None:
        chosen = (SortRecordingSelection & key).fetch1()
        wires = common.Electrode & (SortGroup.SortElectrode & chosen)
        if chosen["preprocessing"] == "skip bad":
            wires = wires & {"is_bad": False}
        name = {"interval_name": f"{key['recording_id'].hex[:8]} sorted"}
        file = {"file_name": chosen["file_name"]}
        times: Times = (common.IntervalList & chosen).fetch1("valid_times")
        all_day: Times = (common.IntervalList & file & {"interval_name": "whole session"}).fetch1(
            "valid_times"
        )
        common.IntervalList.insert1({**file, **name, "valid_times": intersection(times, all_day)})
        self.insert1(
            {
                **key,
                **file,
                "sorted_interval": name["interval_name"],
                "electrodes": np.array(wires.fetch("electrode", order_by="electrode"), np.int64),
            }
        )


@schema
class SortingSelection(Selection, dj.Manual):
    definition = """
    # A request: sort that recording this way
    sorting_id : uuid
    ---
    -> SortRecording
    -> SorterParam
    """


@schema
class Sorting(LabTable, dj.Computed):
    definition = """
    # What the sorter found
    -> SortingSelection
    ---
    n_units : int16
    """

    class Unit(LabTable, dj.Part):
        definition = """
        -> master
        unit : int16
        ---
        spike_times : <blob>         # (n_spikes,) float64, s
        """

    def make(self, key: dict[str, Any]) -> None:
        chosen = (SortingSelection * SortRecording & key).fetch1()
        params = (SorterParam & chosen).fetch1("sorter_params")
        valid = {"file_name": chosen["file_name"], "interval_name": chosen["sorted_interval"]}
        times: Times = (common.IntervalList & valid).fetch1("valid_times")
        self.insert1({**key, "n_units": len(chosen["electrodes"])})
        self.Unit.insert(
            {**key, "unit": unit, "spike_times": inside(found, times)}
            for unit, wire in enumerate(chosen["electrodes"])
            for found in [crossings(read(chosen["file_name"], int(wire)), depth=params["depth"])]
        )


@schema
class Curation(LabTable, dj.Manual):
    definition = """
    # What somebody made of a sorting, or of an earlier curation
    -> Sorting
    curation : int8
    ---
    -> [nullable] Curation.proj(parent_curation='curation')
    labels : json                    # unit → label
    """

    def spike_times(self) -> dict[str, Times]:
        """Return the times of the units that were kept, of the one row of this table."""
        row = self.fetch1()
        kept = {unit for unit, label in row["labels"].items() if label != "noise"}
        units = Sorting.Unit & {"sorting_id": row["sorting_id"]}
        return {str(u["unit"]): u["spike_times"] for u in units if str(u["unit"]) in kept}


@schema
class ImportedSorting(LabTable, dj.Imported):
    definition = """
    # Units that were in the file already
    -> common.Session
    """

    class Unit(LabTable, dj.Part):
        definition = """
        -> master
        unit : int16
        ---
        spike_times : <blob>         # (n_spikes,) float64, s
        """

    @property
    def key_source(self) -> dj.Query:
        return common.Session & "file_name like '%sorted%'"

    def make(self, key: dict[str, Any]) -> None:
        self.insert1(key)
        self.Unit.insert1(
            {**key, "unit": 0, "spike_times": crossings(read(key["file_name"], 0), depth=100.0)}
        )

    def spike_times(self) -> dict[str, Times]:
        """Return the times of all units of the one row of this table."""
        units = ImportedSorting.Unit & self.fetch1("KEY")
        return {str(u["unit"]): u["spike_times"] for u in units}


@schema
class SpikeOutput(Merge, dj.Manual):
    class Curation(LabTable, dj.Part):
        definition = """
        -> master
        ---
        -> Curation
        """

    class ImportedSorting(LabTable, dj.Part):
        definition = """
        -> master
        ---
        -> ImportedSorting
        """

    def spike_times(self) -> dict[str, Times]:
        """Return the times of the units of one output, wherever they come from."""
        pipeline = PIPELINES[self.fetch1("source")]
        units: dict[str, Times] = (pipeline() & self.origin().fetch1("KEY")).spike_times()
        return units


#: The tables of the pipelines, by the names of the output's parts.
PIPELINES: dict[str, type[Curation] | type[ImportedSorting]] = {
    "Curation": Curation,
    "ImportedSorting": ImportedSorting,
}


@schema
class UnitRate(LabTable, dj.Computed):
    definition = """
    # Spikes per second, of every output
    -> SpikeOutput
    ---
    n_output_units : int16
    """

    class Rate(LabTable, dj.Part):
        definition = """
        -> master
        unit_name : varchar(8)
        ---
        n_unit_spikes : int32
        """

    def make(self, key: dict[str, Any]) -> None:
        units = (SpikeOutput() & key).spike_times()
        self.insert1({**key, "n_output_units": len(units)})
        self.Rate.insert(
            {**key, "unit_name": name, "n_unit_spikes": len(times)} for name, times in units.items()
        )
