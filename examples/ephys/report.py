"""Numbers for the next meeting.

Its author has only read access to `ephys` and none of its code: what is there comes from the
database, as a virtual module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import djq as dj

if TYPE_CHECKING:
    from types import ModuleType

schema = dj.Schema()

#: The virtual modules in use, by name; `activate` makes them.
upstream: dict[str, ModuleType] = {}


def activate(name: str, ephys_name: str, *, connection: dj.Connection | None = None) -> None:
    """Declare the tables as the schema `name`, below the schema `ephys_name` that exists."""
    upstream["ephys"] = dj.VirtualModule("ephys", ephys_name, connection=connection)
    schema.activate(name, connection=connection, add_objects=upstream)


@schema
class UnitReport(dj.Computed):
    definition = """
    # One line per unit
    -> ephys.CuratedClustering.Unit
    ---
    mean_rate : float32           # Hz
    peak_to_trough = null : float32   # ms; null where the trough was cut off
    """

    @property
    def key_source(self) -> dj.Query:
        # Widths are read from WaveformSet, to which no reference leads.
        ephys = upstream["ephys"]
        units: dj.Query = ephys.CuratedClustering.Unit & ephys.WaveformSet
        return units

    def make(self, key: dict[str, Any]) -> None:
        ephys = upstream["ephys"]
        n_spikes = (ephys.CuratedClustering.Unit & key).fetch1("n_spikes")
        duration_s, rate_hz = (ephys.Recording & key).fetch1("duration", "sampling_rate")
        width_ms = None
        for wave in (ephys.WaveformSet.PeakWaveform & key).fetch("peak_waveform"):
            trough = int(np.argmin(wave))
            width_ms = int(np.argmax(wave[trough:])) / rate_hz * 1e3
        self.insert1({**key, "mean_rate": n_spikes / duration_s, "peak_to_trough": width_ms})


@schema
class InsertionReport(dj.Computed):
    definition = """
    # One line per sorted recording
    -> ephys.CuratedClustering
    ---
    n_good : int16
    n_spikes : int64
    """

    def make(self, key: dict[str, Any]) -> None:
        units = upstream["ephys"].CuratedClustering.Unit & key
        good = units & {"quality_label": "good"}
        self.insert1({**key, "n_good": len(good), "n_spikes": int(units.fetch("n_spikes").sum())})
