"""`dj.config` in both spellings, over the environment and the files."""

from __future__ import annotations

import json
import logging

import pytest

import djq as dj
from djq.datajoint import compose
from djq.errors import ConfigError
from djq.settings import StoreSettings, load
from djq.tables.connection import using


@pytest.fixture(autouse=True)
def _as_before():
    """Whatever a test sets is taken back."""
    with dj.config.override():
        yield


# --- reading ------------------------------------------------------------------------------------


def test_the_environment_and_the_file_are_below(monkeypatch, tmp_path):
    (tmp_path / "djq.toml").write_text("display_limit = 5\nsafemode = false\n")
    monkeypatch.setenv("DJQ_DISPLAY_LIMIT", "7")

    assert dj.config["display.limit"] == dj.config.display.limit == dj.config.display_limit == 7
    assert dj.config["safemode"] is dj.config.safemode is False

    dj.config.display.limit = 9

    assert dj.config["display_limit"] == 9
    assert load().display_limit == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [("database.host", "db"), ("database.port", 3307), ("database.user", "al/ice")],
)
def test_parts_of_the_address_are_read_from_it(name, value):
    dj.config["database_url"] = "mysql://al%2Fice:se%40cret@db:3307/"

    assert dj.config[name] == value
    assert dj.config["database.password"].get_secret_value() == "se@cret"


def test_a_file_has_no_host():
    assert dj.config["database.host"] is None
    assert dj.config.database.user is None


def test_what_djq_always_does_can_be_read():
    assert dj.config["enable_python_native_blobs"] is True
    assert dj.config.database.reconnect is True
    assert dj.config.jobs.keep_completed is False


def test_names_are_listed():
    assert {"database_url", "database", "display", "safemode", "stores"} <= set(dir(dj.config))
    assert {"host", "port", "user", "password", "use_tls"} <= set(dir(dj.config.database))
    assert "database.host" in dj.config
    assert "databse.host" not in dj.config
    assert dj.config.get("nothing", 5) == 5
    assert dj.config.get("safemode") is True


# --- writing ------------------------------------------------------------------------------------


def test_parts_of_the_address_make_it_in_any_order():
    dj.config["database.password"] = "p@ss/w#rd"
    dj.config["database.user"] = "al@ice"
    dj.config.database.host = "db.lab"
    dj.config["database.port"] = 3307

    settings = dj.config.settings()
    assert settings.resolved_database_url == "mysql://al%40ice:p%40ss%2Fw%23rd@db.lab:3307/"


def test_parts_change_the_address_that_is_there(monkeypatch):
    monkeypatch.setenv("DJQ_DATABASE_URL", "mariadb://alice:secret@one:3307/?ssl_ca=/ca.pem")

    dj.config["database.host"] = "two"

    found = dj.config.settings().resolved_database_url
    assert found == "mariadb://alice:secret@two:3307/?ssl_ca=/ca.pem"


def test_a_whole_address_replaces_its_parts():
    dj.config["database.host"] = "one"
    dj.config["database_url"] = "mysql://two"

    assert dj.config["database.host"] == "two"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("db:3310", "mysql://db:3310/"), ("::1", "mysql://[::1]:3306/"), ("db", "mysql://db:3306/")],
)
def test_a_host_may_bring_its_port(host, expected):
    assert compose(None, host=host) == expected


def test_a_value_is_taken_back(monkeypatch):
    monkeypatch.setenv("DJQ_SAFEMODE", "false")
    dj.config.safemode = True
    dj.config["database.host"] = "db"

    del dj.config["safemode"]
    del dj.config["database.host"]

    assert dj.config.safemode is False
    assert dj.config["database.host"] is None


def test_an_override_ends_with_its_block():
    with dj.config.override(safemode=False, database__host="db", display__limit=3):
        assert dj.config.safemode is False
        assert dj.config["database.host"] == "db"
        assert dj.config.display.limit == 3

    assert dj.config.safemode is True
    assert dj.config["database.host"] is None


def test_an_override_with_a_wrong_value_changes_nothing():
    with pytest.raises(ConfigError), dj.config.override(safemode=False, display__limit="many"):
        pass

    assert dj.config.safemode is True


def test_wrong_values_change_nothing():
    dj.config["display.limit"] = 5
    with pytest.raises(ConfigError, match="DJQ_DISPLAY_LIMIT"):
        dj.config["display.limit"] = 0

    assert dj.config["display.limit"] == 5


@pytest.mark.parametrize(
    "name", ["enable_python_native_blobs", "jobs.auto_refresh", "database.reconnect"]
)
def test_what_djq_always_does_may_be_asked_for(name):
    dj.config[name] = True


# --- stores -------------------------------------------------------------------------------------


def test_stores_are_set_in_either_spelling():
    dj.config["stores"] = {
        "raw": {"protocol": "file", "location": "/data/raw", "stage": "/tmp"},
        "s": {
            "protocol": "s3",
            "endpoint": "s3.lab:9000",
            "bucket": "bucket",
            "location": "/prefix/",
            "access_key": "key",
            "secret_key": "hunter2",
        },
        "default": "raw",
    }
    dj.config.stores["tiles"] = "s3://tiles"
    dj.config["stores.more"] = {"url": "/more", "region": "eu"}
    dj.config.stores["own"] = StoreSettings(url="/own")

    stores = dj.config["stores"]
    assert set(stores) == {"raw", "s", "tiles", "more", "own"}
    assert stores["raw"] == StoreSettings(url="/data/raw")
    assert stores["s"].url == "s3://bucket/prefix"
    assert stores["s"].endpoint == "http://s3.lab:9000"
    assert stores["s"].secret_key.get_secret_value() == "hunter2"
    assert dj.config["stores.tiles"].url == "s3://tiles"
    assert dj.config.stores["more"].region == "eu"
    assert dj.config["stores.default"] == dj.config.default_store == "raw"
    assert "hunter2" not in repr(stores)
    assert "hunter2" not in repr(dj.config)


def test_stores_at_google_and_azure_are_set_in_either_spelling(monkeypatch):
    monkeypatch.setenv("DJQ_STORES__FAR__URL", "az://box")
    monkeypatch.setenv("DJQ_STORES__FAR__OPTIONS__ACCOUNT_KEY", "hunter2")
    monkeypatch.setenv("DJQ_STORES__WIDE__URL", "sftp://host/a")
    monkeypatch.setenv("DJQ_STORES__WIDE__OPTIONS", '{"password": "hunter2", "port": 2222}')
    dj.config["stores"] = {
        "g": {"protocol": "gcs", "bucket": "lab", "location": "raw"},
        "a": {
            "protocol": "azure",
            "container": "box",
            "location": "/raw",
            "account_name": "lab",
            "account_key": "hunter2",
        },
    }

    stores = dj.config["stores"]
    assert stores["g"].url == "gs://lab/raw"
    assert stores["a"].url == "az://box/raw"
    assert stores["a"].plain_options == {"account_name": "lab", "account_key": "hunter2"}
    assert stores["far"].plain_options == {"account_key": "hunter2"}
    assert stores["wide"].plain_options == {"password": "hunter2", "port": 2222}
    assert "hunter2" not in repr(stores) + repr(dj.config) + str(stores["far"].options)


def test_options_that_are_no_json_are_refused_without_showing_them(monkeypatch):
    monkeypatch.setenv("DJQ_STORES__FAR__URL", "az://box")
    monkeypatch.setenv("DJQ_STORES__FAR__OPTIONS", "hunter2")
    with pytest.raises(ConfigError, match="FAR__OPTIONS: no JSON object") as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_stores_of_the_file_stay(tmp_path):
    (tmp_path / "djq.toml").write_text('[stores.raw]\nurl = "/raw"\n')
    dj.config["stores"] = {"tiles": "/tiles"}

    assert {n: s.url for n, s in dj.config["stores"].items()} == {"raw": "/raw", "tiles": "/tiles"}


# --- connections --------------------------------------------------------------------------------


def test_an_open_connection_sees_what_was_set_since(tmp_path):
    with dj.Connection(f"sqlite:///{tmp_path / 'x.sqlite'}") as connection:
        assert connection.settings.safemode is True
        dj.config.safemode = False
        dj.config["stores"] = {"raw": str(tmp_path / "raw")}
        dj.config["database.host"] = "elsewhere"

        assert connection.settings.safemode is False
        assert connection.store("raw").name == "raw"
        assert connection.settings.resolved_database_url.startswith("sqlite")


def test_a_printed_query_is_as_long_and_wide_as_set(tmp_path):
    with dj.Connection(f"sqlite:///{tmp_path / 'x.sqlite'}") as connection:

        @dj.Schema("lab", connection=connection)
        class Note(dj.Manual):
            definition = """
            note : int32
            ---
            text : varchar(50)
            """

        Note.insert((i, "abcdefghij") for i in range(5))
        with dj.config.override(display__limit=2, display__width=6):
            printed = repr(Note())

    assert printed.splitlines()[1:] == ["0      abcde…", "1      abcde…", "   … 3 more", "(5 rows)"]


def test_a_store_that_was_set_again_is_opened_again(tmp_path):
    with dj.Connection(f"sqlite:///{tmp_path / 'x.sqlite'}") as connection:
        dj.config.stores["raw"] = str(tmp_path / "one")
        one = connection.store("raw")
        assert connection.store("raw") is one
        dj.config.stores["raw"] = str(tmp_path / "two")
        assert connection.store("raw") is not one


def test_a_connection_made_from_settings_keeps_them(local_settings):
    dj.config.safemode = False

    assert dj.Connection(local_settings).settings is local_settings


def test_a_change_that_comes_too_late_says_how_to_apply_it(local_settings, caplog):
    with using(dj.Connection(local_settings)), caplog.at_level(logging.WARNING, "djq"):
        dj.config["safemode"] = False
        assert not caplog.records
        dj.config["database.password"] = "hunter2"

    assert "settings_wait for=database.password apply_with=dj.conn(reset=True)" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_change_in_time_says_nothing(caplog):
    with using(None), caplog.at_level(logging.WARNING, "djq"):
        dj.config["database.host"] = "db"

    assert not caplog.records


def test_the_default_connection_is_made_from_what_was_set(tmp_path):
    with using(None):
        dj.config["database_url"] = f"sqlite:///{tmp_path / 'one.sqlite'}"
        first = dj.conn()
        dj.config["database_url"] = f"sqlite:///{tmp_path / 'two.sqlite'}"
        assert dj.conn() is first
        second = dj.conn(reset=True)
        assert second is dj.conn() is not first
        assert second.database.address.endswith("two.sqlite")
        second.close()


def test_a_connection_by_host_and_user_is_made_of_both():
    dj.config["database_url"] = "mysql://lab:hunter2@one:3307/"

    connection = dj.Connection("two", "alice", "p@ss", port=3308)

    assert connection.database.url.render_as_string(hide_password=False) == (
        "mysql://alice:p%40ss@two:3308/"
    )
    assert repr(connection) == "Connection('mysql://alice:***@two:3308/')"
    assert dj.Connection("three").database.url.username == "lab"


# --- coming from DataJoint ----------------------------------------------------------------------

THEIRS = {
    "database": {
        "host": "db.lab",
        "user": "alice",
        "password": "hunter2",
        "port": 3307,
        "use_tls": True,
        "reconnect": True,
    },
    "display": {"limit": 20, "width": 30, "show_tuple_count": False},
    "safemode": False,
    "loglevel": "INFO",
    "stores": {"default": "raw", "raw": {"protocol": "file", "location": "/data/raw"}},
}


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    (tmp_path / "datajoint.json").write_text(json.dumps(THEIRS))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def test_a_file_of_datajoint_is_read(theirs, caplog):
    with caplog.at_level(logging.INFO, "djq"):
        settings = load()

    assert settings.resolved_database_url == "mysql://alice:hunter2@db.lab:3307/"
    assert settings.database_tls is True
    assert (settings.display_limit, settings.display_width, settings.safemode) == (20, 30, False)
    assert not settings.display_show_tuple_count
    assert settings.stores == {"raw": StoreSettings(url="/data/raw")}
    assert settings.default_store == "raw"
    assert len(caplog.records) == 1
    assert "ignored=database.reconnect,loglevel" in caplog.text
    assert "hunter2" not in caplog.text


def test_dotted_names_in_a_file_of_datajoint_are_read(tmp_path):
    (tmp_path / "datajoint.json").write_text('{"database.host": "db", "database.user": "bob"}')

    assert load().resolved_database_url == "mysql://bob@db:3306/"


def test_djqs_own_sources_win(theirs, monkeypatch):
    monkeypatch.setenv("DJQ_SAFEMODE", "true")

    assert load().safemode is True
    assert load(display_limit=3).display_limit == 3


def test_a_file_of_djq_hides_that_of_datajoint(theirs):
    (theirs / "djq.toml").write_text("")

    assert load().database_url is None


def test_variables_of_datajoint_are_understood(monkeypatch, tmp_path):
    for name, value in {"HOST": "db", "USER": "al", "PASS": "p@", "PORT": "3310"}.items():
        monkeypatch.setenv(f"DJ_{name}", value)

    assert load().resolved_database_url == "mysql://al:p%40@db:3310/"

    monkeypatch.setenv("DJQ_DATABASE_URL", "mysql://own")
    assert load().resolved_database_url == "mysql://own"


def test_variables_of_datajoint_win_over_its_file(theirs, monkeypatch):
    monkeypatch.setenv("DJ_HOST", "other")

    assert load().resolved_database_url == "mysql://alice:hunter2@other:3307/"


def test_a_user_of_datajoint_without_a_host_is_no_database(monkeypatch):
    monkeypatch.setenv("DJ_USER", "al")

    assert load().database_url is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "minio.lab:9000",
        "http://",
        "http://10.0.0.1:9:9",
        "http://a b",
        "ftp://x",
        "https://x:70000",
    ],
)
def test_an_endpoint_that_is_no_address_is_refused_with_an_example(monkeypatch, endpoint):
    monkeypatch.setenv("DJQ_STORES__RAW__URL", "s3://lab")
    monkeypatch.setenv("DJQ_STORES__RAW__ENDPOINT", endpoint)
    with pytest.raises(ConfigError, match=r"RAW__ENDPOINT: .*; write https://minio\.lab:9000"):
        load()


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9000", "https://[::1]:9000", "https://minio_1.lab/at/path"]
)
def test_an_endpoint_is_an_address(endpoint):
    assert StoreSettings(url="s3://lab", endpoint=endpoint).endpoint == endpoint
