"""Users who may do little: what works for them, and what they are told."""

from __future__ import annotations

import contextlib
import secrets
import stat

import pytest

import djq as dj
from djq.errors import AccessError
from djq.settings import load
from tests.support.servers import connect


def declare(schema):
    @schema
    class Counter(dj.Manual):
        definition = """
        counter : int32
        ---
        value : int32
        """

    return Counter


@pytest.fixture
def counter(schema):
    table = declare(schema)
    table.insert((i, 0) for i in range(3))
    return table


@pytest.fixture
def grant(connection, counter, tmp_path):
    """Return a connection of a new user with some privileges on the schema of the test."""
    if connection.database.is_sqlite:
        pytest.skip("SQLite has no users")
    user, opened = f"u_{secrets.token_hex(4)}", []
    schema = counter.spec.name.schema
    with contextlib.closing(connect(str(connection.database.url))) as raw, raw.cursor() as cursor:
        cursor.execute(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'hunter2'")

        def make(privileges):
            cursor.execute(f"GRANT {privileges} ON `{schema}`.* TO '{user}'@'%'")
            url = connection.database.url.set(username=user, password="hunter2")
            found = dj.Connection(
                load(database_url=url.render_as_string(hide_password=False), state_dir=tmp_path)
            )
            opened.append(found)
            return found

        make.user = user
        yield make
        for each in opened:
            each.close()
        cursor.execute(f"DROP USER '{user}'@'%'")


def test_a_user_who_may_only_read_activates_a_schema_and_queries(grant, schema, counter):
    reader = grant("SELECT")

    table = declare(dj.Schema(schema.name, connection=reader))

    assert len(table) == 3
    assert (table & {"counter": 1}).fetch1() == {"counter": 1, "value": 0}
    assert len(list(table)) == 3
    assert "counter" in repr(table())


def test_an_insert_that_is_refused_says_who_lacks_what(grant, counter):
    reader = grant("SELECT")
    place = f"`{counter.spec.name.schema}`.`{counter.spec.name.table}`"

    with pytest.raises(AccessError) as raised:
        reader.database.insert(counter.spec, [{"counter": 9, "value": 1}])

    message = str(raised.value)
    assert "cannot write" in message
    assert f"Connected as '{grant.user}'@'%'" in message
    assert f"GRANT INSERT ON {place} TO '{grant.user}'@'%'" in message
    assert "hunter2" not in message
    assert len(counter) == 3


def test_a_delete_that_is_refused_says_who_lacks_what(grant, counter):
    reader = grant("SELECT")

    with pytest.raises(AccessError, match=r"GRANT SELECT, DELETE ON `.*`.`counter`"):
        reader.database.delete((counter & {"counter": 1}).node)
    assert len(counter) == 3


def test_a_query_that_is_refused_says_who_lacks_what(grant, counter):
    stranger = grant("INSERT")

    with pytest.raises(AccessError, match=r"cannot read.*GRANT SELECT ON `.*`.`counter` TO"):
        stranger.database.fetch(counter().node)
    with pytest.raises(AccessError, match="GRANT SELECT ON"):
        list(stranger.database.stream(counter().node))
    with pytest.raises(AccessError, match="GRANT SELECT ON"):
        stranger.database.count(counter().node)


def test_a_join_that_is_refused_names_the_schemas(grant, counter, schema):
    @schema
    class Note(dj.Manual):
        definition = """
        -> Counter
        ---
        note : varchar(10)
        """

    stranger = grant("INSERT")
    node = (counter() * Note() & (Note & "note = 'x'").proj()).node

    with pytest.raises(AccessError, match=rf"GRANT SELECT ON `{schema.name}`\.\* TO"):
        stranger.database.fetch(node)


def test_a_table_that_may_not_be_made_says_who_lacks_what(grant, schema, counter):
    reader = grant("SELECT")
    other = dj.Schema(schema.name, connection=reader)
    cls = type("Other", (dj.Manual,), {"definition": "x : int32", "__module__": __name__})

    with pytest.raises(AccessError, match="GRANT CREATE, ALTER, DROP, INDEX, REFERENCES ON"):
        other(cls)


def test_a_raw_query_that_is_refused_says_who_asked(grant, counter):
    reader = grant("SELECT")
    place = f"`{counter.spec.name.schema}`.`{counter.spec.name.table}`"

    with pytest.raises(AccessError, match=f"Connected as '{grant.user}'@'%': ask an administr"):
        reader.query(f"DELETE FROM {place}")


def test_a_login_that_is_refused_is_not_advised_to_grant(connection, tmp_path):
    if connection.database.is_sqlite:
        pytest.skip("SQLite has no users")
    url = connection.database.url.set(username="nobody", password="hunter2")
    stranger = dj.Connection(
        load(database_url=url.render_as_string(hide_password=False), state_dir=tmp_path)
    )

    with pytest.raises(AccessError, match="refused the login") as raised:
        stranger.database.ping()
    assert "GRANT" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_file_that_may_only_be_read_is_read(connection, counter, tmp_path, monkeypatch):
    if not connection.database.is_sqlite:
        pytest.skip("a server has no file")
    connection.close()
    path = tmp_path / "pipeline.sqlite"
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    path.chmod(stat.S_IRUSR)

    with dj.Connection(load(database_url=url, state_dir=tmp_path / ".djq")) as reader:
        assert reader.database.count(counter().node) == 3
        with pytest.raises(AccessError, match=r"may not write .*change their permissions"):
            reader.database.insert(counter.spec, [{"counter": 9, "value": 1}])
