"""Files, sessions, electrodes and intervals: what all pipelines begin with."""

from __future__ import annotations

import djq as dj
from examples.merge.mixins import LabTable

schema = dj.Schema()


@schema
class Team(LabTable, dj.Lookup):
    definition = """
    # Who is responsible
    team : varchar(32)
    """
    contents = zip(["memory", "decisions"], strict=False)


@schema
class Subject(LabTable, dj.Manual):
    definition = """
    # An animal
    subject : varchar(16)
    ---
    species = 'rat' : enum('rat', 'mouse')
    """


@schema
class RecordingFile(LabTable, dj.Manual):
    definition = """
    # A file that holds a whole session
    file_name : varchar(64)
    """


@schema
class Session(LabTable, dj.Manual):
    definition = """
    # A session, known by its file
    -> RecordingFile
    ---
    -> Subject
    session_start : datetime
    """


@schema
class IntervalList(LabTable, dj.Manual):
    definition = """
    # Times of a session that belong together
    -> Session
    interval_name : varchar(64)
    ---
    valid_times : <blob>         # (n_intervals, 2) float64, s, from and to
    """


@schema
class ElectrodeGroup(LabTable, dj.Manual):
    definition = """
    # A tetrode
    -> Session
    electrode_group : int8
    ---
    region : varchar(16)
    """


@schema
class Electrode(LabTable, dj.Manual):
    definition = """
    # A wire
    -> ElectrodeGroup
    electrode : int16
    ---
    is_bad = 0 : bool
    """


@schema
class FilterParam(LabTable, dj.Lookup):
    definition = """
    # A band, for one sampling rate
    filter_name : varchar(32)
    filter_rate : int32          # Hz
    ---
    low = null : float64         # Hz; null: down to 0
    high : float64               # Hz
    """
    contents = [("lfp 0-400", 2000, None, 400.0), ("theta", 2000, 6.0, 10.0)]
