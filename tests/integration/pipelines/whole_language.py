"""Tables with everything the language has, declared by whichever library is handed in.

`declare(dj, schema)` runs under djq and under DataJoint: the same definitions, in two programs.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid


def declare(dj, schema):
    """Declare the tables; return them by name."""

    @schema
    class Species(dj.Lookup):
        definition = """
        # what it is: 'cats', 'dogs' # and more
        species : varchar(20)  # its name, in words
        ---
        legs = 4 : int8
        """
        contents = (("cat", 4), ("dog", 4), ("bird", 2))

    @schema
    class Subject(dj.Manual):
        definition = """
        # who takes part
        subject : int32           # number
        ---
        -> Species
        nickname = "" : varchar(30)   # how people call it
        sex = 'U' : enum('M', 'F', 'U')  # M, F or U
        born = null : date
        weight : float32          # [g]
        height = null : float64
        dose = 1.50 : decimal(6,2)    # [ml]
        is_alive = 1 : bool
        tag = null : uuid
        code = "abc" : char(6)
        notes = null : json
        raw = null : bytes
        seen = CURRENT_TIMESTAMP : datetime
        precise = null : datetime(6)
        small = 1 : int16
        large = null : int64
        index(nickname)
        unique index(code, subject)
        """

    @schema
    class Family(dj.Manual):
        definition = """
        -> Subject.proj(mother='subject')
        -> Subject.proj(child='subject')
        ---
        -> [nullable] Subject.proj(father='subject')
        -> [unique, nullable] Subject.proj(heir='subject')
        """

    @schema
    class Native(dj.Manual):
        definition = """
        number : int unsigned auto_increment
        ---
        tiny = 1 : tinyint
        small = null : smallint unsigned
        big = null : bigint
        real_ = null : double
        short = null : float
        words = null : text
        long_words = null : mediumtext
        at = null : timestamp
        clock = null : time
        year_ = null : year
        amount = null : decimal(9,3)
        image = null : longblob
        """

    @schema
    class Setting(dj.Manual):
        definition = """
        # one row
        ---
        value : varchar(20)
        """

    @schema
    class Device(dj.Manual):
        definition = """
        device : uuid
        kind : enum('a', 'b')
        day : date
        at : datetime(3)
        amount : decimal(5,2)
        flag : bool
        ---
        remark = null : varchar(100)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        -> [nullable] Device
        """

        class Trial(dj.Part):
            definition = """
            -> master
            trial : int16
            ---
            outcome : enum('hit', 'miss')
            """

        class Lick(dj.Part):
            definition = """
            -> Session.Trial
            lick : int32
            ---
            at : float64  # [s]
            """

    @schema
    class Score(dj.Computed):
        definition = """
        -> Session
        ---
        hits : int32
        """

        class Detail(dj.Part):
            definition = """
            -> master
            -> Session.Trial
            ---
            is_hit : bool
            """

        def make(self, key):
            trials = (Session.Trial & key).to_dicts()
            hits = [t["outcome"] == "hit" for t in trials]
            self.insert1({**key, "hits": sum(hits)})
            self.Detail.insert(
                [
                    {**key, "trial": t["trial"], "is_hit": h}
                    for t, h in zip(trials, hits, strict=True)
                ]
            )

    @schema
    class Summary(dj.Imported):
        definition = """
        -> Score
        ---
        half : float64
        """

        def make(self, key):
            self.insert1({**key, "half": (Score & key).fetch1("hits") / 2})

    found = (Species, Subject, Family, Native, Setting, Device, Session, Score, Summary)
    return {cls.__name__: cls for cls in found}


def fill(dj, tables):
    """Insert rows into the tables that people fill."""
    time = dt.datetime.fromisoformat
    subject, family, native = tables["Subject"], tables["Family"], tables["Native"]
    subject.insert1(
        {
            "subject": 1,
            "species": "cat",
            "nickname": "Möbius \\ 'quoted' \"%s\" 🐈",
            "sex": "F",
            "born": dt.date(2020, 2, 29),
            "weight": 1.5,
            "height": 0.1,
            "dose": decimal.Decimal("1234.56"),
            "is_alive": False,
            "tag": uuid.UUID(int=5),
            "code": "x",
            "notes": {"a": [1, None, "ä"], "b": {"c": 1.5}},
            "raw": b"\x00\xff%s'",
            "seen": time("2024-01-02 03:04:05"),
            "precise": time("2024-01-02 03:04:05.678901"),
            "small": -32768,
            "large": 2**63 - 1,
        }
    )
    subject.insert(
        {"subject": i, "species": "dog", "weight": i / 4, "seen": time(f"2024-01-0{i}")}
        for i in range(2, 5)
    )
    family.insert(
        [
            {"mother": 1, "child": 2, "father": 3, "heir": 2},
            {"mother": 1, "child": 3, "father": None, "heir": None},
        ]
    )
    native.insert1(
        {
            "number": 7,
            "tiny": -3,
            "small": 65535,
            "big": -(2**63),
            "real_": 0.1,
            "short": 0.5,
            "words": "wörds",
            "long_words": "x" * 700,
            "at": time("2024-01-02 03:04:05"),
            "clock": dt.timedelta(hours=1, minutes=2, seconds=3),
            "year_": 2024,
            "amount": decimal.Decimal("1.250"),
            "image": b"\x00raw\xff",
        }
    )
    tables["Setting"].insert1({"value": "on"})
    device = {
        "device": uuid.UUID(int=9),
        "kind": "b",
        "day": dt.date(2024, 1, 1),
        "at": time("2024-01-01 00:00:00.123"),
        "amount": decimal.Decimal("1.20"),
        "flag": True,
    }
    tables["Device"].insert1(device)
    session = tables["Session"]
    session.insert1({"subject": 1, "session": 1, **device})
    session.insert1({"subject": 2, "session": 1})
    session.Trial.insert([(1, 1, 1, "hit"), (1, 1, 2, "miss"), (2, 1, 1, "hit")])
    session.Lick.insert([(1, 1, 1, 5, 0.25)])


def plain(value):
    """Return a value as JSON has it, alike for both libraries."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bool):
        return int(value)  # DataJoint gives 0 and 1
    return value if isinstance(value, int | float | str | list | dict | type(None)) else str(value)


def rows_of(table):
    """Return all rows of a table, in one order."""
    rows = [{n: plain(v) for n, v in row.items()} for row in table.to_dicts()]
    return sorted(rows, key=repr)


def with_parts(tables):
    """Return the tables and their parts by name."""
    parts = {"Session": ("Trial", "Lick"), "Score": ("Detail",)}
    found = dict(tables)
    for name, its in parts.items():
        found |= {f"{name}.{part}": getattr(tables[name], part) for part in its}
    return found
