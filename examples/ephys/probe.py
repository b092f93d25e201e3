"""Probes: their electrodes, and which of them a recording uses."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import djq as dj

if TYPE_CHECKING:
    from collections.abc import Iterable

schema = dj.Schema()

#: Hashes of electrode lists lie in a namespace of their own.
CONFIGS = uuid.UUID("6f1c2d7e-52a0-4f7b-9b7a-0d1f0f6d8a11")
#: Distance of two electrodes along and across the shank [µm].
PITCH_UM, WIDTH_UM = 25.0, 20.0


@schema
class ProbeType(dj.Lookup):
    definition = """
    # A model that somebody sells
    probe_type : varchar(32)
    """
    contents = zip(["linear-8", "staggered-16"], strict=False)

    class Electrode(dj.Part):
        definition = """
        # A contact of the model
        -> master
        electrode : int16    # counted from the tip
        ---
        shank = 0 : int8
        x : float32          # µm across the shank
        y : float32          # µm from the tip
        """

    @classmethod
    def insert_electrodes(cls) -> None:
        """Insert the contacts of every model; the number behind the dash says how many."""
        for probe_type in cls.fetch("probe_type"):
            is_staggered = probe_type.startswith("staggered")
            cls.Electrode.insert(
                (
                    (probe_type, i, 0, WIDTH_UM * (i % 2) * is_staggered, PITCH_UM * i)
                    for i in range(int(probe_type.rpartition("-")[2]))
                ),
                skip_duplicates=True,
            )


@schema
class Probe(dj.Lookup):
    definition = """
    # A probe in the drawer
    probe : varchar(16)              # serial number
    ---
    -> ProbeType
    probe_comment = "" : varchar(128)
    """
    contents = [("L8-0031", "linear-8", ""), ("S16-0007", "staggered-16", "shank bent at 2 mm")]


@schema
class ElectrodeConfig(dj.Lookup):
    definition = """
    # Electrodes that are switched to the amplifier
    config_hash : uuid               # of the model and its electrodes
    ---
    -> ProbeType
    config_name : varchar(64)
    unique index(probe_type, config_name)
    """

    class Electrode(dj.Part):
        definition = """
        -> master
        -> ProbeType.Electrode
        """

    @classmethod
    def add(cls, probe_type: str, electrodes: Iterable[int]) -> dict[str, Any]:
        """Insert a selection of electrodes unless it is there, and return its key."""
        chosen = sorted(electrodes)
        key = {"config_hash": config_hash(probe_type, chosen)}
        name = f"{chosen[0]}-{chosen[-1]}, {len(chosen)} electrodes"
        row = {**key, "probe_type": probe_type, "config_name": name}
        with cls().connection.transaction:
            cls.insert1(row, skip_duplicates=True)
            cls.Electrode.insert(
                ({**key, "probe_type": probe_type, "electrode": e} for e in chosen),
                skip_duplicates=True,
            )
        return key


def config_hash(probe_type: str, electrodes: Iterable[int]) -> uuid.UUID:
    """Return the same identifier for the same electrodes, in whatever order they come."""
    return uuid.uuid5(CONFIGS, json.dumps([probe_type, sorted(electrodes)]))
