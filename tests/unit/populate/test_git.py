"""The commit of the user's code, read from git's files."""

from __future__ import annotations

import importlib
import itertools
import shutil
import subprocess
import sys

import pytest

from djq.populate.git import commit_of

_NUMBERS = itertools.count()


@pytest.fixture
def git(tmp_path):
    """Run git in a new repository; skipped where there is none."""
    program = shutil.which("git")
    if program is None:
        pytest.skip("git is not installed")

    def git(*words, where=tmp_path):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        found = subprocess.run(
            [program, *identity, *words], cwd=where, check=True, capture_output=True, text=True
        )
        return found.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("commit", "--quiet", "--allow-empty", "--message=first")
    return git


@pytest.fixture
def define(tmp_path, monkeypatch):
    """Return a class that is defined in a file of a folder."""
    names = []

    def define(folder=tmp_path):
        names.append(f"git_module_{next(_NUMBERS)}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{names[-1]}.py").write_text("class Step:\n    pass\n", encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        return importlib.import_module(names[-1]).Step

    yield define
    for name in names:
        del sys.modules[name]


def test_a_branch_leads_to_its_commit(git, define, tmp_path):
    assert commit_of(define(tmp_path / "lab" / "deep")) == git("rev-parse", "HEAD")


def test_packed_branches_are_read_too(git, define):
    git("pack-refs", "--all")
    assert commit_of(define()) == git("rev-parse", "HEAD")


def test_a_commit_without_branch_is_read(git, define):
    git("checkout", "--quiet", "--detach")
    assert commit_of(define()) == git("rev-parse", "HEAD")


def test_a_worktree_has_a_commit_of_its_own(git, define, tmp_path):
    tree = tmp_path / "tree"
    git("worktree", "add", "--quiet", "-b", "other", str(tree))
    git("commit", "--quiet", "--allow-empty", "--message=second", where=tree)

    assert commit_of(define(tree)) == git("rev-parse", "other")
    assert git("rev-parse", "other") != git("rev-parse", "main")


def test_a_repository_without_commits_has_none(git, define, tmp_path):
    git("init", "--quiet", "new")
    assert commit_of(define(tmp_path / "new")) is None


def test_code_outside_of_a_repository_has_no_commit(define, tmp_path):
    assert commit_of(define(tmp_path / "nowhere")) is None
