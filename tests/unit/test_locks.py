"""The lock files: complete, pinned with hashes, and silent about where they were made."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.processes import ROOT

LOCKS = {"requirements.lock": ("demo",), "requirements-dev.lock": ("dev",)}
#: What is built where it can be: the extra alone.
MYSQLCLIENT = "requirements-mysqlclient.lock"
ENTRY = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;]+)( ; (?P<marker>.+?))? \\\n"
    r"(?P<hashes>(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+)",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, list[tuple[Version, Marker | None]]]:
    found: dict[str, list[tuple[Version, Marker | None]]] = {}
    for entry in ENTRY.finditer((ROOT / lock).read_text()):
        marker = Marker(entry["marker"]) if entry["marker"] else None
        found.setdefault(entry["name"], []).append((Version(entry["version"]), marker))
    return found


def wanted(project: dict, extras: tuple[str, ...]) -> list[Requirement]:
    """The dependencies of the project with `extras`, those that extras name in turn included."""
    table = project["project"]
    lines = [*table["dependencies"], *project["dependency-groups"]["build"]]
    for extra in extras:
        lines += table["optional-dependencies"][extra]
    requirements = [Requirement(line) for line in lines]
    own = {extra for r in requirements if r.name == "djq" for extra in r.extras}
    more = wanted(project, tuple(own - set(extras))) if own - set(extras) else []
    return [r for r in requirements if r.name != "djq"] + more


@pytest.mark.parametrize("lock", [*LOCKS, MYSQLCLIENT])
def test_a_lock_holds_names_versions_and_hashes_only(lock):
    text = (ROOT / lock).read_text()
    assert ENTRY.sub("", text).strip() == ""
    assert "/" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_dependency_within_its_bounds(lock, project):
    pinned = pins(lock)
    for requirement in wanted(project, LOCKS[lock]):
        versions = pinned.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in {lock}; run `make lock`"
        for version, _ in versions:
            assert requirement.specifier.contains(version), f"{requirement} but {version} in {lock}"


def test_mysqlclient_is_pinned_within_its_bounds(project):
    (extra,) = project["project"]["optional-dependencies"]["mysqlclient"]
    ((version, _),) = pins(MYSQLCLIENT)["mysqlclient"]
    assert Requirement(extra).specifier.contains(version)
    assert list(pins(MYSQLCLIENT)) == ["mysqlclient"]


def test_both_locks_pin_the_same_versions():
    """Where they are installed may differ: more packages want some of them on more platforms."""
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    versions = {name: {v for v, _ in found} for name, found in run.items()}
    assert {name: {v for v, _ in dev.get(name, ())} for name in run} == versions


def test_every_dependency_has_its_reason(project):
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text()
    table = project["project"]
    lines = [*table["dependencies"], *project["build-system"]["requires"]]
    for requirements in (
        *table["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ):
        lines += requirements
    names = {Requirement(line).name for line in lines} - {"djq"}
    assert [name for name in sorted(names, key=str.lower) if f"`{name}`" not in page] == []


def test_mypy_and_pyright_check_the_same_packages(project):
    tools = project["tool"]
    assert tools["mypy"]["files"] == tools["pyright"]["include"] == ["djq", "workers"]
    assert tools["mypy"]["strict"] is True
    assert tools["pyright"]["typeCheckingMode"] == "strict"


def third_party(folder: str) -> set[str]:
    """The modules outside the standard library and this repository that `folder` imports."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"djq", "workers", "examples", "tests", "benchmarks"}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("djq", ("local", "monitor", "s3", "fsspec", "frames")),
        ("workers", ()),
        ("examples", ("demo",)),
        ("tests", ("dev",)),
    ],
)
def test_what_is_imported_is_a_dependency(folder, extras, project):
    declared = {canonicalize_name(requirement.name) for requirement in wanted(project, extras)}
    distributions = importlib.metadata.packages_distributions()
    for module in third_party(folder):
        names = {canonicalize_name(name) for name in distributions.get(module, [])}
        assert names & declared, f"{folder}/ imports {module}, which pyproject.toml does not name"
