"""`djq gc`, `djq fsck` and `djq doctor` of stores as a person uses them."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

import djq as dj
from djq.ops import cli, meter
from djq.ops.status import Status
from djq.settings import load
from djq.storage import sweeps
from djq.storage.content import FOLDER

THREE_DAYS_S = 3 * 86_400


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Nobody else puts objects: nobody needs to hear of it before they go."""
    monkeypatch.setattr(sweeps, "LEAD_S", 0)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A store with an object of a row, and two of none, all old."""
    monkeypatch.chdir(tmp_path)
    with dj.Connection(load()) as connection:
        schema = dj.Schema("lab", connection=connection)

        @schema
        class Sound(dj.Manual):
            definition = """
            sound : int32
            ---
            wave : <blob@raw>
            """

        Sound.insert1({"sound": 1, "wave": "la"})
        content = connection.store("raw")
        content.put(b"a")
        content.put(b"bb")
        for found in list(content.store.list(FOLDER)):
            then = found.modified.timestamp() - THREE_DAYS_S
            os.utime(content.store.root / found.path, (then, then))
        yield content.store


def paths(store) -> list[str]:
    return [found.path for found in store.list(FOLDER)]


def test_gc_counts_and_deletes_nothing_unless_it_is_told(lab, capsys):
    assert cli.run(["gc", "raw"]) == Status.DONE
    out = capsys.readouterr().out
    assert "garbage: 2 objects, 3 bytes, the oldest of 20" in out
    assert "nothing was deleted; older than 24 h: --delete" in out
    assert len(paths(lab)) == 3


def test_gc_deletes_what_it_may(lab, capsys):
    assert cli.run(["gc", "raw", "--delete", "--yes"]) == Status.USAGE
    assert "djq gc raw --claim" in capsys.readouterr().err
    assert cli.run(["gc", "raw", "--delete", "--claim", "--list", "--yes"]) == Status.DONE
    out = capsys.readouterr().out
    assert out.count("hash/") == 2
    assert "deleted: 2 objects, 3 bytes" in out
    assert len(paths(lab)) == 1


def test_gc_does_not_delete_where_nobody_can_answer(lab, capsys):
    assert cli.run(["gc", "raw", "--delete", "--claim"]) == Status.USAGE
    captured = capsys.readouterr()
    assert "garbage: 2 objects" in captured.out
    assert "Delete 2 objects (3 bytes)? Nobody can answer here: add --yes" in captured.err
    assert len(paths(lab)) == 3


@pytest.mark.parametrize(("answer", "n_left"), [(True, 1), (False, 3)])
def test_gc_asks_before_it_deletes(lab, monkeypatch, answer, n_left):
    monkeypatch.setattr("djq.ops.commands.stores.confirm", lambda *_, **__: answer)
    assert cli.run(["gc", "raw", "--delete", "--claim"]) == Status.DONE
    assert len(paths(lab)) == n_left


def test_gc_as_json(lab, capsys):
    assert cli.run(["gc", "raw", "--json"]) == Status.DONE
    found = json.loads(capsys.readouterr().out)
    assert (found["store"], found["is_dry_run"], found["n_garbage"]) == ("raw", True, 2)
    assert (found["n_kept"], found["n_references"], found["n_deleted"]) == (1, 1, 0)


@pytest.mark.parametrize(("span", "n"), [("30d", 0), ("70h", 2), ("1.5d", 2), ("120min", 2)])
def test_grace_is_a_duration(lab, capsys, span, n):
    assert cli.run(["gc", "raw", "--grace", span, "--json"]) == Status.DONE
    assert json.loads(capsys.readouterr().out)["n_garbage"] == n


def test_a_wrong_grace_is_refused(lab, capsys):
    assert cli.run(["gc", "raw", "--grace", "soon"]) == Status.USAGE
    assert "not a duration: write 90m, 24h or 7d" in capsys.readouterr().err
    assert cli.run(["gc", "raw", "--grace", "1h"]) == Status.USAGE
    assert "must be longer than 1 h 11 min" in capsys.readouterr().err
    assert cli.run(["gc", "--import", "no_such_module"]) == Status.USAGE
    assert "--import no_such_module" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["gc", "fsck"])
def test_a_store_that_is_not_there_is_refused(lab, capsys, verb):
    assert cli.run([verb, "typo"]) == Status.USAGE
    assert 'there is no store "typo"' in (said := capsys.readouterr().err)
    assert said.rstrip().endswith("Known stores: raw")
    assert not (lab.root.parent / "typo").exists()


def test_gc_looks_at_the_other_databases_that_are_named(lab, tmp_path, capsys):
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    with dj.Connection(load(database_url=url)) as other:
        theirs = dj.Schema("theirs", connection=other)

        @theirs
        class Noise(dj.Manual):
            definition = """
            noise : int32
            ---
            wave : <hash@raw>
            """

        Noise.insert1({"noise": 1, "wave": b"bb"})
    for path in paths(lab):
        os.utime(lab.root / path, (0, 0))
    assert cli.run(["gc", "raw", "--also", url, "--delete", "--claim", "--yes"]) == Status.DONE
    assert "deleted: 1 objects, 1 bytes" in capsys.readouterr().out
    # From now on neither of them is forgotten.
    assert cli.run(["gc", "raw", "--delete", "--yes"]) == Status.USAGE
    assert "djq gc raw --also URL" in capsys.readouterr().err


class Terminal(io.StringIO):
    """What a person sees, byte by byte."""

    def isatty(self) -> bool:
        return True


CLEAR = "\r\x1b[K"


@pytest.fixture
def on_terminal(lab, monkeypatch):
    """Run a verb, and return what a person sees of its progress."""
    monkeypatch.setattr(meter, "FIRST_S", 0.0)
    monkeypatch.setattr(meter, "EVERY_S", 0.0)

    def run(*arguments: str, file: io.StringIO | None = None) -> tuple[int, list[str]]:
        file = Terminal() if file is None else file
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", file)
            return cli.run(arguments), file.getvalue().split(CLEAR)

    return run


def test_gc_shows_on_a_terminal_how_far_it_is_in_a_line_that_vanishes(on_terminal):
    status, lines = on_terminal("gc", "raw", "--claim", "--delete", "--yes")

    assert status == Status.DONE
    counts = ["1 references", "1 references, 3 objects"]
    counts += [f"1 references, 3 objects, {n} deleted" for n in (1, 2)]
    assert lines == ["", *counts, ""]


def test_fsck_shows_on_a_terminal_how_far_it_is_in_a_line_that_vanishes(on_terminal, lab):
    for path in paths(lab):
        lab.put(path, b"other")

    status, lines = on_terminal("fsck", "raw", "--verify")

    assert status == Status.ERRORS
    # Each damage is written on a line that was cleared.
    shown = ["0 references, 1 objects", "", "0 references, 2 objects", ""]
    shown += ["0 references, 3 objects", "", "1 references, 3 objects", ""]
    assert lines == ["", *shown]


@pytest.mark.parametrize("verb", [["gc", "raw"], ["fsck"]])
def test_programs_and_pipes_see_no_progress(on_terminal, verb):
    assert on_terminal(*verb, "--json") == (Status.DONE, [""])
    assert on_terminal(*verb, file=io.StringIO()) == (Status.DONE, [""])


def test_python_is_told_of_the_progress_if_it_asks(lab):
    seen = []
    with dj.Connection(load()) as connection:
        dj.gc.collect(store="raw", connection=connection, progress=lambda e: seen.append(str(e)))
        assert seen == ["1 references", "1 references, 3 objects"]
        del seen[:]
        dj.fsck(connection=connection, progress=lambda e: seen.append(e.n_references))
        assert seen == [1]


def test_fsck_tells_what_is_missing(lab, capsys):
    assert cli.run(["fsck"]) == Status.DONE
    assert capsys.readouterr().out == "1 references: 0 damages\n"
    for path in paths(lab):
        lab.delete(path)
    assert cli.run(["fsck", "--verify"]) == Status.ERRORS
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("missing: lab.sound sound=1 wave: hash/")
    assert cli.run(["fsck", "--json"]) == Status.ERRORS
    (damage,) = json.loads(capsys.readouterr().out)["damages"]
    assert damage | {"path": ""} == {
        "kind": "missing",
        "store": "raw",
        "path": "",
        "table": "lab.sound",
        "key": {"sound": 1},
        "attribute": "wave",
    }


def test_doctor_names_each_store_that_is_broken_and_looks_at_the_others(
    lab, monkeypatch, tmp_path, capsys
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DJQ_STORES__ELSEWHERE__URL", "file://host/a")
    monkeypatch.setenv("DJQ_STORES__IN_A_FILE__URL", str(tmp_path / "file" / "folder"))
    monkeypatch.setenv("DJQ_STORES__SOUND__URL", str(tmp_path / "sound"))

    assert cli.run(["doctor", "--json"]) == Status.ERRORS

    found = [f for f in json.loads(capsys.readouterr().out) if f["subject"] == "stores"]
    assert {(f["text"].partition(":")[0], f["health"]) for f in found} == {
        ("elsewhere", "broken"),
        ("in_a_file", "broken"),
        ("sound", "ok"),
    }
