"""Processes of one database meet in Redis, however each of them spells its address."""

from __future__ import annotations

from contextlib import closing

import pytest

from djq.ops.doctor import examine
from djq.orchestrator.holding import Main
from djq.orchestrator.namespace import namespace_of
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.server import open_server
from djq.settings import Settings, load
from djq.sql.engine import Database
from djq.sql.identity import identity_of
from tests.support.servers import connect


def spelled(settings: Settings, url: str) -> Settings:
    return load(database_url=url, redis_url=settings.redis_url, state_dir=settings.state_dir)


def other_spelling(settings: Settings, tmp_path) -> Settings:
    """The same database by another name: another host, or another path to the file."""
    url = settings.resolved_database_url
    if url.startswith("sqlite"):
        (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
        return spelled(settings, f"sqlite:///{tmp_path}/link/pipeline.sqlite")
    return spelled(settings, url.replace("127.0.0.1", "localhost"))


def test_a_database_has_one_namespace_by_whatever_name_it_is_reached(settings, tmp_path):
    assert namespace_of(settings) == namespace_of(other_spelling(settings, tmp_path))


def test_workers_of_another_spelling_are_seen(settings, tmp_path):
    here = Reservations.open(settings)
    there = Reservations.open(other_spelling(settings, tmp_path))
    there.holders.beat(Main(id="m:1:a", host="elsewhere", pid=1, slots=3))
    assert [main.host for main in here.holders.reap().mains] == ["elsewhere"]
    for reservations in (here, there):
        reservations.server.close()


def test_two_databases_are_apart(settings, tmp_path):
    other = spelled(settings, f"sqlite:///{tmp_path / 'other.sqlite'}")
    assert namespace_of(settings) != namespace_of(other)


def test_a_namespace_that_is_set_asks_no_database(tmp_path):
    settings = load(
        database_url="mysql://nobody@127.0.0.1:1",
        redis_url="redis://localhost",
        namespace="lab",
        state_dir=tmp_path,
    )
    with closing(open_server(settings)) as server:
        assert server.prefix == "djq:{lab}:"


@pytest.mark.needs_row_locks
def test_a_user_with_no_rights_at_all_finds_the_same_name(settings, schema_name):
    url = settings.resolved_database_url
    with closing(connect(url)) as root, root.cursor() as cursor:
        cursor.execute(f"CREATE USER `{schema_name}`@`%`")
    nobody = url.replace("root@", f"{schema_name}@")
    with closing(Database(nobody)) as one, closing(Database(url)) as two:
        assert identity_of(one) == identity_of(two)
    with closing(connect(url)) as root, root.cursor() as cursor:
        cursor.execute(f"DROP USER `{schema_name}`@`%`")


def test_doctor_says_which_namespace_is_used(settings):
    texts = [finding.text for finding in examine(settings) if finding.subject == "redis"]
    assert any(f"namespace {namespace_of(settings)}" in text for text in texts), texts


def test_it_is_an_error_when_the_database_that_would_say_it_is_away(redis_url, tmp_path):
    settings = load(
        database_url="mysql://nobody@127.0.0.1:1", redis_url=redis_url, state_dir=tmp_path
    )
    with pytest.raises(Exception, match=r"127\.0\.0\.1:1"):
        open_server(settings)
