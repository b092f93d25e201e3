"""The compose file, its variations and the Procfile."""

from __future__ import annotations

import re

import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from tests.support.processes import ROOT

COMPOSE = ROOT / "docker-compose.yml"
#: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`; `$$` is left to the shell inside.
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?P<rest>[^}]*)\}")
SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|_KEY)$")


class Loader(yaml.SafeLoader):
    """Reads compose's own tags, too."""


Loader.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def load(path) -> dict:
    return yaml.load(path.read_text(), Loader)


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    return load(COMPOSE)["services"]


def test_the_stack_is_complete(services):
    assert set(services) == {"mysql", "valkey", "scheduler", "worker", "flower"}


def test_every_image_is_pinned_to_a_release(services):
    images = [service["image"] for service in services.values()]
    foreign = [image for image in images if image != "djq:local"]
    assert len(foreign) == 2
    for image in foreign:
        assert re.search(r":\d+\.\d+\.\d+(-[a-z0-9.]+)?$", image), image


def test_the_image_of_djq_is_built_on_a_pinned_release():
    bases = re.findall(r"^FROM (\S+)", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert bases
    for base in bases:
        assert re.search(r":\d+\.\d+\.\d+-", base), base


def test_every_service_has_a_healthcheck(services):
    for name, service in services.items():
        assert service["healthcheck"]["test"], name


def test_every_port_is_bound_to_this_machine_alone(services):
    ports = {name: service.get("ports", []) for name, service in services.items()}
    assert [port for its in ports.values() for port in its]
    for name, its in ports.items():
        for port in its:
            assert str(port).startswith("127.0.0.1:"), (name, port)


def test_what_needs_the_servers_waits_until_they_are_healthy(services):
    for name in ("scheduler", "worker", "flower"):
        waits = services[name]["depends_on"]
        assert {its["condition"] for its in waits.values()} == {"service_healthy"}
        assert set(waits) == {"mysql", "valkey"}


def test_redis_never_evicts_and_keeps_its_log(services):
    command = " ".join(services["valkey"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command


def test_flower_asks_for_a_password_and_changes_nothing(services):
    environment = services["flower"]["environment"]
    assert "FLOWER_PASSWORD:?" in environment["FLOWER_BASIC_AUTH"]
    config = ROOT / environment["FLOWER_CONF"].removeprefix("/pipeline/")
    assert "read_only = True" in config.read_text()


def test_no_secret_has_a_value_in_the_file(services):
    for name, rest in VARIABLE.findall(COMPOSE.read_text()):
        if SECRET.search(name):
            assert rest.startswith(":?"), f"{name} must have no default"
    for service in services.values():
        for name, value in service["environment"].items():
            if SECRET.search(name):
                assert re.fullmatch(VARIABLE, value), name


def test_every_variable_of_the_compose_file_is_in_the_example():
    example = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert {name for name, _ in VARIABLE.findall(COMPOSE.read_text())} == set(example)


def test_the_example_holds_no_secret():
    for name, value in re.findall(
        r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE
    ):
        if SECRET.search(name):
            assert value == "", name


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deploy").glob("compose.*.yml")), ids=lambda p: p.name
)
def test_a_variation_changes_only_services_that_exist(path, services):
    assert set(load(path)["services"]) <= set(services)


@pytest.mark.parametrize(
    "path",
    [COMPOSE, ROOT / ".pre-commit-config.yaml", *sorted((ROOT / "deploy").glob("*.yml"))],
    ids=lambda p: p.name,
)
def test_yaml_files_are_well_formed(path):
    rules = YamlLintConfig((ROOT / ".yamllint.yml").read_text())
    assert [str(problem) for problem in linter.run(path.read_text(), rules)] == []


def test_the_procfile_starts_what_the_stack_starts(services):
    lines = (ROOT / "Procfile").read_text().splitlines()
    processes = dict(line.split(": ", 1) for line in lines)
    assert set(processes) == set(services) - {"mysql", "valkey"}
    assert all(command.startswith("djq ") for command in processes.values())
