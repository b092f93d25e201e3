"""The tables and functions of one laboratory, to which `ephys` is linked when it is activated.

Another laboratory links a module of its own: it must offer `Session`, `Probe` and
`read_recording`.
"""

from __future__ import annotations

from typing import Any

import djq as dj
from examples.ephys import probe
from examples.ephys.signals import Voltages, simulate

schema = dj.Schema()

Probe = probe.Probe


@schema
class Strain(dj.Lookup):
    definition = """
    # Genetic background
    strain : varchar(32)
    """
    contents = zip(["C57BL/6J", "PV-Cre", "Thy1-ChR2"], strict=False)


@schema
class Subject(dj.Manual):
    definition = """
    # An animal
    subject : varchar(8)           # ear mark
    ---
    -> Strain
    sex = 'unknown' : enum('female', 'male', 'unknown')
    birth_date : date
    weight = null : decimal(5,2)   # g, before the implant
    """


@schema
class Session(dj.Manual):
    definition = """
    # An animal in the rig, from door to door
    -> Subject
    session : int16
    ---
    session_start : datetime
    session_note = "" : varchar(255)   # what the "Notes: #1" column of the rig's log says
    """


def read_recording(key: dict[str, Any]) -> Voltages:
    """Read what the amplifier wrote for one insertion: here it is simulated."""
    return simulate(f"{key['subject']}/{key['session']}/{key['insertion']}")
