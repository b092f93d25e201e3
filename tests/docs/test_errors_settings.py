"""What wrong settings and connections are answered, word for word: read it as documentation.

`…` stands for a list that grows. Nothing is changed by any of them, and no password is shown.
"""

from __future__ import annotations

import json
import os

import pytest

import djq as dj
from djq.errors import AccessError, ConfigError, DjqError, UnreachableError, UsageError
from djq.settings import load
from djq.tables.connection import using


@pytest.fixture(autouse=True)
def _as_before():
    with dj.config.override(), using(None):
        yield


def put(name, value):
    """Return what sets one setting."""

    def change():
        dj.config[name] = value

    return change


def variable(name, value):
    """Return what reads the settings with one variable of the environment."""

    def read():
        os.environ[name] = value
        try:
            load()
        finally:
            del os.environ[name]

    return read


def default_elsewhere():
    dj.conn("mysql://alice:hunter2@one/")
    dj.conn("two", "alice", "hunter3")


#: What is done; the class of the error; its message.
CASES = {
    # --- names ---
    "a misspelled setting": (
        lambda: dj.config["databse.host"],
        ConfigError,
        'unknown setting "databse.host". Did you mean "database.host"? Known: …',
    ),
    "a misspelled attribute": (
        lambda: dj.config.database.hots,
        ConfigError,
        'unknown setting "database.hots". Did you mean "database.host"? Known: …',
    ),
    "a misspelled override": (
        lambda: dj.config.override(safe_mode=True).__enter__(),
        ConfigError,
        'unknown setting "safe_mode". Did you mean "safemode"? Known: …',
    ),
    "a misspelled argument": (
        lambda: load(safe_mode=True),
        ConfigError,
        (
            'wrong settings:\n  DJQ_SAFE_MODE: there is no such setting. Did you mean "safemode"? '
            "Known: …"
        ),
    ),
    "a misspelled variable": (
        variable("DJQ_SAFEMOD", "1"),
        ConfigError,
        "unknown setting DJQ_SAFEMOD in the environment. Did you mean DJQ_SAFEMODE?",
    ),
    "a group for a setting": (
        lambda: setattr(dj.config, "database", "db"),
        ConfigError,
        "config.database is a group: set one of it, config.database.… = …",
    ),
    # --- values ---
    "a number that is none": (
        put("display.limit", "many"),
        ConfigError,
        (
            "wrong settings:\n  DJQ_DISPLAY_LIMIT: Input should be a valid integer, unable to "
            "parse "
            "string as an integer, not 'many'"
        ),
    ),
    "a number that is too small": (
        put("display.width", 1),
        ConfigError,
        "wrong settings:\n  DJQ_DISPLAY_WIDTH: Input should be greater than or equal to 4, not 1",
    ),
    "neither yes nor no": (
        variable("DJQ_SAFEMODE", "perhaps"),
        ConfigError,
        (
            "wrong settings:\n  DJQ_SAFEMODE: Input should be a valid boolean, unable to interpret "
            "input, not 'perhaps'"
        ),
    ),
    "a database of another kind": (
        put("database_url", "postgresql://alice:hunter2@db/"),
        ConfigError,
        (
            'wrong settings:\n  DJQ_DATABASE_URL: the URL scheme "postgresql" is not one of '
            "mariadb, "
            "mysql, sqlite; write mysql://user:password@host:3306"
        ),
    ),
    "a port that is none": (
        put("database.port", "abc"),
        ConfigError,
        "database.port: 'abc' is no port: write a number from 1 to 65535",
    ),
    "a port out of range": (
        lambda: dj.Connection("db", "alice", "hunter2", port=99999),
        ConfigError,
        "database.port: 99999 is no port: write a number from 1 to 65535",
    ),
    "a lease that is too short": (
        put("lease_s", 1),
        ConfigError,
        (
            "wrong settings:\n  DJQ_HEARTBEAT_S is 5 and DJQ_LEASE_S is 1: a worker would be "
            "taken for "
            "dead between two heartbeats. A third of the lease is a good heartbeat"
        ),
    ),
    # --- DataJoint's settings that djq does not have ---
    "another backend": (
        put("database.backend", "postgresql"),
        ConfigError,
        (
            "\"database.backend\" cannot be 'postgresql': the scheme of database_url says it: "
            "mysql, "
            "mariadb or sqlite. It is always 'mysql'"
        ),
    ),
    "a cache of queries": (
        put("query_cache", "/tmp/cache"),
        ConfigError,
        (
            "\"query_cache\" cannot be '/tmp/cache': djq keeps no results of queries. It is always "
            "None"
        ),
    ),
    "no reconnection": (
        put("database.reconnect", False),
        ConfigError,
        (
            '"database.reconnect" cannot be False: djq reconnects wherever nothing can be lost '
            "by it. "
            "It is always True"
        ),
    ),
    "stale jobs": (
        put("jobs.stale_timeout", 3600),
        ConfigError,
        (
            'djq has no setting "jobs.stale_timeout": a worker that died is noticed by its lease: '
            "lease_s"
        ),
    ),
    "a level of the log": (
        put("loglevel", "DEBUG"),
        ConfigError,
        'djq has no setting "loglevel": use logging.getLogger("djq").setLevel(…)',
    ),
    # --- stores ---
    "stores without names": (
        put("stores", ["/data"]),
        ConfigError,
        "stores: give a mapping of names to stores",
    ),
    "a store without a place": (
        put("stores", {"raw": {"protocol": "file"}}),
        ConfigError,
        'store "raw": protocol "file" needs "location"',
    ),
    "a bucket without a name": (
        put("stores.raw", {"protocol": "s3", "secret_key": "hunter2"}),
        ConfigError,
        'store "raw": protocol "s3" needs "bucket"',
    ),
    "a store of another kind": (
        put("stores", {"raw": {"protocol": "ftp", "location": "x"}}),
        ConfigError,
        'store "raw": protocol "ftp" is not one of file, s3, gcs, azure',
    ),
    "a misspelled key of a store": (
        put("stores", {"raw": {"protcol": "file", "location": "/x"}}),
        ConfigError,
        (
            'store "raw": unknown setting "protcol". Known: access_key, account_key, account_name, '
            "bucket, container, endpoint, location, options, "
            "protocol, region, secret_key, secure, stage, subfolding, url"
        ),
    ),
    "a store that is not set": (
        lambda: dj.config.stores["raw"],
        ConfigError,
        'no store "raw" is set. Known: none',
    ),
    # --- connections ---
    "a Settings value and more": (
        lambda: dj.Connection(load(), "alice"),
        UsageError,
        "a Settings value says it all: give user, password, port or use_tls in it",
    ),
    "a misspelled option of encryption": (
        lambda: dj.Connection("db", use_tls={"cafile": "/ca.pem"}),
        ConfigError,
        'use_tls: unknown "cafile"; it takes ca, cert, key and check_hostname',
    ),
    "an authority that is not there": (
        lambda: dj.Connection("db", use_tls={"ca": "/no/ca.pem"}),
        ConfigError,
        (
            "cannot read the certificates of the database's URL (ssl_ca=/no/ca.pem): [Errno 2] "
            "No such "
            "file or directory"
        ),
    ),
    "a default connection elsewhere": (
        default_elsewhere,
        UsageError,
        (
            "the default connection to mysql://alice:***@one/ is there already, and "
            "mysql://alice:***@two:3306/ differs in user, password or place: reset=True "
            "replaces it, "
            "and dj.Connection(…) makes another one beside it"
        ),
    ),
    "a commit of nothing": (
        lambda: dj.conn().commit_transaction(),
        UsageError,
        "commit_transaction ends a transaction that start_transaction began: none is open",
    ),
    "a host that is not there": (
        lambda: dj.Connection("mysql://alice:hunter2@no-such-host.invalid:3306/").ping(),
        UnreachableError,
        (
            "cannot reach the database at mysql://alice:***@no-such-host.invalid:3306/: cannot "
            "connect: Can't connect to MySQL server on 'no-such-host.invalid' (…"
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_setting_or_connection(case):
    act, kind, expected = CASES[case]
    before = repr(dj.config)

    with pytest.raises(DjqError) as error:
        act()

    message = str(error.value)
    assert isinstance(error.value, kind)
    if "Known: …" in expected or expected.endswith("(…"):
        assert message.startswith(expected.removesuffix("…"))
    else:
        assert message == expected
    assert "hunter" not in message
    assert repr(dj.config) == before


#: The text of a `datajoint.json`; what the message says behind its path.
FILES = {
    "not JSON": ("{database.host: x}", "cannot read {path}: Expecting property name enclosed in"),
    "no mapping": ("[1]", "cannot read {path}: it is no mapping of settings"),
    "a store of another kind": (
        json.dumps({"stores": {"raw": {"protocol": "sftp"}}}),
        'store "raw": protocol "sftp" is not one of file, s3, gcs, azure',
    ),
    "a wrong value": (
        json.dumps({"display": {"limit": -1}}),
        "wrong settings:\n  DJQ_DISPLAY_LIMIT: Input should be greater than or equal to 1, not -1",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_of_datajoint(tmp_path, case):
    text, expected = FILES[case]
    path = tmp_path / "datajoint.json"
    path.write_text(text)

    with pytest.raises(ConfigError) as error:
        load()

    assert str(error.value).startswith(expected.format(path=path))


def test_a_login_that_is_refused(mariadb_server):
    url = mariadb_server.url.replace("root@", "nobody:hunter2@")

    with pytest.raises(AccessError) as error:
        dj.conn(url).ping()

    place = url.replace("hunter2", "***")
    assert str(error.value) == (
        f"the database at {place} refused the login: cannot connect: Access denied for user "
        "'nobody'@'localhost' (using password: YES). Check the user and password in "
        "DJQ_DATABASE_URL"
    ).replace("'nobody'@'localhost'", f"'nobody'@'{host_in(str(error.value))}'")


def host_in(message):
    """Return what the server calls this machine."""
    return message.partition("'nobody'@'")[2].partition("'")[0]
