"""Local field potentials, filtered here or imported, and their one output."""

from __future__ import annotations

from typing import Any

import numpy as np

import djq as dj
from examples.merge import common
from examples.merge.mixins import LabTable, Merge
from examples.merge.voltages import RATE_HZ, Floats, in_band, read

schema = dj.Schema()


@schema
class LFPElectrodeGroup(LabTable, dj.Manual):
    definition = """
    # Wires that are filtered together
    -> common.Session
    lfp_group : varchar(32)
    """

    class LFPElectrode(LabTable, dj.Part):
        definition = """
        -> master
        -> common.Electrode
        """


@schema
class LFPSelection(LabTable, dj.Manual):
    definition = """
    # A request: filter these wires in that interval with this filter
    -> LFPElectrodeGroup
    -> common.IntervalList.proj(target_interval='interval_name')
    -> common.FilterParam
    ---
    -> common.Team
    """


@schema
class LFP(LabTable, dj.Computed):
    definition = """
    # Filtered voltages
    -> LFPSelection
    ---
    -> common.IntervalList           # where the result is valid: its edges are cut off
    lfp_rate : float64               # Hz
    lfp : <blob>                     # (n_electrodes, n_samples) float32, µV
    """

    #: Cut off at either end of an interval [s].
    EDGE_S = 0.1

    def make(self, key: dict[str, Any]) -> None:
        target = {"file_name": key["file_name"], "interval_name": key["target_interval"]}
        wanted = (common.IntervalList & target).fetch1("valid_times")
        name = f"{key['target_interval']} {key['filter_name']} {key['lfp_group']} valid"
        valid = {"file_name": key["file_name"], "interval_name": name}
        common.IntervalList.insert1(
            {**valid, "valid_times": wanted + np.array([self.EDGE_S, -self.EDGE_S])}
        )
        low, high = (common.FilterParam & key).fetch1("low", "high")
        wires = (LFPElectrodeGroup.LFPElectrode & key).fetch("electrode", order_by="electrode")
        traces = [in_band(read(key["file_name"], int(wire)), low, high) for wire in wires]
        self.insert1({**key, **valid, "lfp_rate": RATE_HZ, "lfp": np.stack(traces)})


@schema
class ImportedLFP(LabTable, dj.Manual):
    definition = """
    # What another laboratory filtered
    -> common.Session
    series : varchar(32)
    ---
    -> common.IntervalList
    lfp_rate : float64               # Hz
    lfp : <blob>                     # (n_electrodes, n_samples) float32, µV
    """


@schema
class LFPOutput(Merge, dj.Manual):
    class LFP(LabTable, dj.Part):
        definition = """
        -> master
        ---
        -> LFP
        """

    class ImportedLFP(LabTable, dj.Part):
        definition = """
        -> master
        ---
        -> ImportedLFP
        """


@schema
class ThetaPower(LabTable, dj.Computed):
    definition = """
    # How strong the rhythm is, wherever the voltages come from
    -> LFPOutput
    ---
    power : float64                  # µV²
    """

    def make(self, key: dict[str, Any]) -> None:
        traces: Floats = (LFPOutput() & key).origin().fetch1("lfp")
        theta = [in_band(trace, 6.0, 10.0) for trace in traces]
        self.insert1({**key, "power": float(np.mean(np.square(theta)))})
