"""Animals, sessions and what the microscope recorded in them."""

from __future__ import annotations

from typing import Any

import djq as dj
from examples.imaging.movies import EDGE, film

schema = dj.Schema()


@schema
class Mouse(dj.Manual):
    definition = """
    # An animal with an indicator in its cells
    mouse : int32
    ---
    indicator : varchar(16)
    """


@schema
class Session(dj.Manual):
    definition = """
    # A mouse below the microscope
    -> Mouse
    session_date : date
    """


@schema
class Microscope(dj.Lookup):
    definition = """
    # The instrument and its program
    microscope : varchar(16)
    ---
    program : enum('ScanImage', 'Scanbox', 'PrairieView')
    """
    contents = [("mesoscope", "ScanImage"), ("bench", "PrairieView")]


@schema
class Objective(dj.Lookup):
    definition = """
    # A lens
    objective : varchar(16)
    ---
    aperture : decimal(3,2)
    """
    contents = [("16x water", "0.80"), ("10x air", "0.50")]


@schema
class Channel(dj.Lookup):
    definition = """
    # A detector, counted from 0
    channel : int8
    """
    contents = ((i,) for i in range(4))


@schema
class Scan(dj.Manual):
    definition = """
    # One start of the microscope
    -> Session
    scan : int16
    ---
    -> Microscope
    -> [nullable] Objective          # null: nobody wrote it down
    n_channels = 1 : int8
    scan_note = "" : varchar(255)
    """


@schema
class ScanInfo(dj.Imported):
    definition = """
    # What is written in the head of the scan's file
    -> Scan
    ---
    n_frames : int32
    fps : float64                    # Hz
    """

    class Field(dj.Part):
        definition = """
        # A plane
        -> master
        field : int8
        ---
        height : int16               # px
        width : int16                # px
        z : float32                  # µm below the surface
        """

    @property
    def key_source(self) -> dj.Query:
        # A scan whose note says so has no file.
        return Scan - {"scan_note": "aborted"}

    def make(self, key: dict[str, Any]) -> None:
        scanned = film(name_of(key), n_channels=n_channels_of(key))
        self.insert1({**key, "n_frames": scanned.frames.shape[1], "fps": scanned.fps})
        self.Field.insert(
            {**key, "field": 0, "height": EDGE, "width": EDGE, "z": z} for z in (120.0,)
        )


def name_of(key: dict[str, Any]) -> str:
    """Return the name of a scan's file."""
    return f"{key['mouse']}_{key['session_date']}_{key['scan']:03d}"


def n_channels_of(key: dict[str, Any]) -> int:
    """Return how many detectors were on."""
    n_channels: int = (Scan & key).fetch1("n_channels")
    return n_channels
