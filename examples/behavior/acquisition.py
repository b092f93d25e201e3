"""Training sessions, the files that came of them, and which of these are complete."""

from __future__ import annotations

from typing import Any

import djq as dj
from examples.behavior import colony

schema = dj.Schema()

#: Files without which trials, and the wheel, cannot be read.
TRIAL_FILES = ("choice", "contrast", "response_time")
WHEEL_FILES = ("wheel_position",)


@schema
class Session(dj.Manual):
    definition = """
    # A mouse in front of a screen, with a wheel below its paws
    -> colony.Subject
    session_start : datetime
    ---
    session_uuid : uuid
    protocol = 'training' : enum('training', 'biased')
    -> [nullable] Session.proj(previous_start='session_start')    # of the same subject
    unique index(session_uuid)
    """


@schema
class DataSetType(dj.Lookup):
    definition = """
    # What a file holds
    dataset_type : varchar(32)
    """
    contents = ((name,) for name in (*TRIAL_FILES, *WHEEL_FILES))


@schema
class DataSet(dj.Manual):
    definition = """
    # A file that arrived
    -> Session
    -> DataSetType
    ---
    n_bytes : int64
    """


@schema
class ExcludedSession(dj.Manual):
    definition = """
    # Somebody looked, and does not want it in the analysis
    -> Session
    ---
    reason : varchar(128)
    """


@schema
class CompleteTrials(dj.Computed):
    definition = """
    # All files for its trials are there
    -> Session
    ---
    n_files : int16
    """

    @property
    def key_source(self) -> dj.Query:
        return _with_files(TRIAL_FILES)

    def make(self, key: dict[str, Any]) -> None:
        self.insert1({**key, "n_files": len(DataSet & key)})


@schema
class CompleteWheel(dj.Computed):
    definition = """
    # The file of its wheel is there
    -> Session
    """

    @property
    def key_source(self) -> dj.Query:
        return _with_files(WHEEL_FILES)

    def make(self, key: dict[str, Any]) -> None:
        self.insert1(key)


def _with_files(names: tuple[str, ...]) -> dj.Query:
    """Return the sessions that have each of these files."""
    return Session & dj.AndList([DataSet & {"dataset_type": name} for name in names])


def sessions_of(nickname: str) -> dj.Query:
    """Return the sessions of the animals with this name, whatever their lab."""
    return Session & (colony.Subject & {"nickname": nickname})
