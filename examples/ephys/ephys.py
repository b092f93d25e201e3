"""Extracellular recordings, sorted into units.

    Session ── Insertion ─┬─ Recording ─┬─ LFP
                          │             └─ ClusteringTask ── Clustering ── CuratedClustering
                          └─ InsertionLocation                                 │
                                                      WaveformSet, QualityMetrics

The schema belongs to no laboratory: `activate` links it to one.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

import djq as dj
from examples.ephys import probe
from examples.ephys.signals import Floats, Sorted, Voltages, isi_violations, mean_waveforms, sort

if TYPE_CHECKING:
    from types import ModuleType

schema = dj.Schema()

#: What the linking module offers, by name.
linked: dict[str, Any] = {}

#: Hashes of parameter sets lie in a namespace of their own.
PARAMSETS = uuid.UUID("b0f7b3f2-3d3e-4b46-8d94-7f64c1c1a5d2")
#: Samples that are averaged into one of the local field potential.
LFP_FACTOR = 10
#: Units with at least so many spikes are worth a label [spikes].
FEW_SPIKES = 25


def activate(
    name: str, *, linking_module: ModuleType, connection: dj.Connection | None = None
) -> None:
    """Declare the tables as the schema `name`; `probe` is activated before."""
    linked.update(vars(linking_module))
    schema.activate(name, connection=connection, add_objects=linked)


@schema
class SkullReference(dj.Lookup):
    definition = """
    # Where coordinates begin
    skull_reference : varchar(16)
    """
    contents = zip(["bregma", "lambda"], strict=False)


@schema
class AcquisitionSystem(dj.Lookup):
    definition = """
    # Amplifier and its program
    acquisition_system : varchar(24)
    """
    contents = zip(["Open Ephys", "SpikeGLX"], strict=False)


@schema
class Insertion(dj.Manual):
    definition = """
    # A probe in a brain
    -> Session
    insertion : int8
    ---
    -> Probe
    """


@schema
class InsertionLocation(dj.Manual):
    definition = """
    # Where the probe went in
    -> Insertion
    ---
    -> SkullReference
    anterior : decimal(6,2)     # µm
    lateral : decimal(6,2)      # µm, right of the midline is positive
    depth : decimal(6,2)        # µm of the tip below the surface
    tilt = null : decimal(5,2)  # degrees from vertical; null where nobody measured it
    """


@schema
class Recording(dj.Imported):
    definition = """
    # What the amplifier wrote for one insertion
    -> Insertion
    ---
    -> probe.ElectrodeConfig
    -> AcquisitionSystem
    sampling_rate : float64     # Hz
    duration : float64          # s
    """

    class File(dj.Part):
        definition = """
        -> master
        file : varchar(128)     # relative to the laboratory's folder
        """

    def make(self, key: dict[str, Any]) -> None:
        recorded: Voltages = linked["read_recording"](key)
        probe_type = (Insertion * probe.Probe & key).fetch1("probe_type")
        config = probe.ElectrodeConfig.add(probe_type, range(len(recorded.samples)))
        self.insert1(
            {
                **key,
                **config,
                "acquisition_system": "Open Ephys",
                "sampling_rate": recorded.rate_hz,
                "duration": recorded.duration_s,
            }
        )
        folder = f"{key['subject']}/{key['session']:03d}/probe{key['insertion']}"
        self.File.insert({**key, "file": f"{folder}/{name}"} for name in ("ap.dat", "sync.npy"))


@schema
class LFP(dj.Imported):
    definition = """
    # Local field potential: slow, and everywhere
    -> Recording
    ---
    lfp_rate : float64          # Hz
    lfp_mean : <blob>           # (n_samples,) float32, µV, over electrodes
    """

    class Trace(dj.Part):
        definition = """
        -> master
        -> probe.ElectrodeConfig.Electrode
        ---
        lfp : <blob>            # (n_samples,) float32, µV
        """

    def make(self, key: dict[str, Any]) -> None:
        recorded: Voltages = linked["read_recording"](key)
        n_electrodes = len(recorded.samples)
        slow: Floats = recorded.samples.reshape(n_electrodes, -1, LFP_FACTOR).mean(axis=2)
        rate_hz = recorded.rate_hz / LFP_FACTOR
        self.insert1({**key, "lfp_rate": rate_hz, "lfp_mean": slow.mean(axis=0)})
        electrodes = (probe.ElectrodeConfig.Electrode & (Recording & key)).keys(
            order_by="electrode"
        )
        self.Trace.insert(
            {**key, **electrode, "lfp": trace}
            for electrode, trace in zip(electrodes, slow, strict=True)
        )


@schema
class ClusteringMethod(dj.Lookup):
    definition = """
    # A way to sort spikes
    clustering_method : varchar(16)
    ---
    method_note = "" : varchar(128)
    """
    contents = [("threshold", "the electrode with the deepest trough is the unit")]


@schema
class ClusteringParamSet(dj.Lookup):
    definition = """
    # Parameters of a method
    paramset : int16
    ---
    -> ClusteringMethod
    paramset_hash : uuid        # of the parameters: nobody enters them twice
    paramset_note : varchar(64)
    params : <blob>
    unique index(paramset_hash)
    """

    @classmethod
    def add(cls, paramset: int, method: str, note: str, params: dict[str, Any]) -> None:
        """Insert a set of parameters unless it is there."""
        text = json.dumps({"method": method, **params}, sort_keys=True)
        row = (paramset, method, uuid.uuid5(PARAMSETS, text), note, params)
        cls.insert1(row, skip_duplicates=True)


@schema
class ClusteringTask(dj.Manual):
    definition = """
    # A request: sort this recording that way
    -> Recording
    -> ClusteringParamSet
    ---
    task_mode = 'compute' : enum('load', 'compute')
    output_folder = "" : varchar(128)
    """


@schema
class Clustering(dj.Computed):
    definition = """
    # What the sorter found
    -> ClusteringTask
    ---
    n_units : int16
    clustered_at = CURRENT_TIMESTAMP : datetime
    """

    def make(self, key: dict[str, Any]) -> None:
        if (ClusteringTask & key).fetch1("task_mode") != "compute":
            message = "there is no result to load: ask for 'compute'"
            raise ValueError(message)
        self.insert1({**key, "n_units": len(sorted_units(key))})


@schema
class QualityLabel(dj.Lookup):
    definition = """
    # What a curator says of a unit
    quality_label : varchar(8)
    ---
    label_note : varchar(64)
    """
    contents = [("good", "one neuron"), ("mua", "several neurons"), ("noise", "no neuron at all")]


@schema
class CuratedClustering(dj.Imported):
    definition = """
    # Units after curation
    -> Clustering
    """

    class Unit(dj.Part):
        definition = """
        # A neuron, as far as anybody can tell
        -> master
        unit : int16
        ---
        -> probe.ElectrodeConfig.Electrode   # where its spikes are deepest
        -> QualityLabel
        n_spikes : int32
        spike_times : <blob>                 # (n_spikes,) float64, s
        """

    def make(self, key: dict[str, Any]) -> None:
        self.insert1(key)
        electrodes = (probe.ElectrodeConfig.Electrode & (Recording & key)).keys(
            order_by="electrode"
        )
        self.Unit.insert(
            {
                **key,
                **electrodes[found.channel],
                "unit": unit,
                "quality_label": "good" if len(found.times_s) >= FEW_SPIKES else "mua",
                "n_spikes": len(found.times_s),
                "spike_times": found.times_s,
            }
            for unit, found in enumerate(sorted_units(key))
        )


@schema
class WaveformSet(dj.Imported):
    definition = """
    # Mean spikes of all units
    -> CuratedClustering
    """

    class PeakWaveform(dj.Part):
        definition = """
        # On the electrode where it is deepest
        -> master
        -> CuratedClustering.Unit
        ---
        peak_waveform : <blob>    # (n_samples,) float32, µV
        trough : float32          # µV
        """

    class Waveform(dj.Part):
        definition = """
        # On every electrode
        -> master.PeakWaveform
        -> probe.ElectrodeConfig.Electrode
        ---
        waveform : <blob>         # (n_samples,) float32, µV
        """

    def make(self, key: dict[str, Any]) -> None:
        recorded: Voltages = linked["read_recording"](key)
        electrodes = (probe.ElectrodeConfig.Electrode & (Recording & key)).keys(
            order_by="electrode"
        )
        self.insert1(key)
        for unit in CuratedClustering.Unit & key:
            mine = {**key, "unit": unit["unit"]}
            means = mean_waveforms(recorded, unit["spike_times"])
            peak = means[unit["electrode"]]
            self.PeakWaveform.insert1({**mine, "peak_waveform": peak, "trough": float(peak.min())})
            self.Waveform.insert(
                {**mine, **electrode, "waveform": mean}
                for electrode, mean in zip(electrodes, means, strict=True)
            )


@schema
class QualityMetrics(dj.Imported):
    definition = """
    # How far each unit can be trusted
    -> CuratedClustering
    """

    class Unit(dj.Part):
        definition = """
        -> master
        -> CuratedClustering.Unit
        ---
        firing_rate = null : float32       # Hz
        isi_violations = null : float32    # share of intervals; null with fewer than two spikes
        amplitude = null : float32         # µV; null where the trough was cut off
        """

    @property
    def key_source(self) -> dj.Query:
        # Amplitudes are read from WaveformSet, to which no reference leads.
        return CuratedClustering & WaveformSet

    def make(self, key: dict[str, Any]) -> None:
        duration_s = (Recording & key).fetch1("duration")
        self.insert1(key)
        for unit in CuratedClustering.Unit & key:
            mine = {**key, "unit": unit["unit"]}
            times_s = unit["spike_times"]
            troughs = (WaveformSet.PeakWaveform & mine).fetch("trough")
            self.Unit.insert1(
                {
                    **mine,
                    "firing_rate": len(times_s) / duration_s,
                    # One spike has no interval; NaN is stored as null.
                    "isi_violations": isi_violations(times_s, refractory_s=0.0015)
                    if len(times_s) > 1
                    else np.nan,
                    "amplitude": -float(troughs[0]) if len(troughs) else None,
                }
            )


def sorted_units(key: dict[str, Any]) -> list[Sorted]:
    """Sort the recording of a task with the parameters that it asks for."""
    params = (ClusteringParamSet & key).fetch1("params")
    return sort(linked["read_recording"](key), threshold=params["threshold"])
