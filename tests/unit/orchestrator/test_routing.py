"""Tables to queues, by what they need and what a fleet has."""

from __future__ import annotations

from pathlib import Path

import pytest

from djq.errors import ConfigError
from djq.orchestrator.fleet import FleetPlan, load_fleet, read_fleet
from djq.orchestrator.routing import route
from djq.populate.options import PopulateOptions
from djq.settings import load

FLEET = read_fleet(
    {
        "queues": {
            "djq.default": {"memory": "8 GB"},
            "djq.gpu": {"gpu": 2, "memory": "32 GB", "tags": ["cuda12"]},
            "djq.big": {"memory": "500 GB", "cpu": 16},
        },
        "limits": {"matlab": 4},
    },
    Path("fleet.toml"),
)


@pytest.mark.parametrize(
    ("options", "queue"),
    [
        ({}, "djq.default"),
        ({"memory_bytes": 8 * 10**9}, "djq.default"),
        ({"gpu": 1}, "djq.gpu"),
        ({"tags": ("cuda12",)}, "djq.gpu"),
        ({"memory_bytes": 10**11}, "djq.big"),
        ({"memory_bytes": 10**10, "cpu": 8}, "djq.gpu"),
        ({"queue": "djq.big", "gpu": 1}, "djq.big"),
    ],
)
def test_a_table_goes_to_the_first_queue_that_has_what_it_needs(options, queue):
    assert route("lab.Spikes", PopulateOptions(**options), FLEET).queue == queue


def test_the_default_queue_comes_first_wherever_it_is_written():
    fleet = FleetPlan.model_validate({"queues": {"djq.other": {}, "djq.default": {}}})
    assert route("lab.Spikes", PopulateOptions(), fleet).queue == "djq.default"


def test_a_need_that_no_queue_has_is_an_error_that_names_needs_and_queues():
    options = PopulateOptions(gpu=4, tags=("matlab",))
    with pytest.raises(
        ConfigError,
        match=r"Spikes needs gpu=4, tags matlab.*djq\.gpu \(gpu=2,.*tags cuda12\).*fleet\.toml",
    ):
        route("lab.Spikes", options, FLEET)


@pytest.mark.parametrize("option", ["queue", "big_queue"])
def test_a_queue_that_the_file_does_not_have_is_an_error(option):
    options = PopulateOptions(**{option: "djq.gpus"})
    with pytest.raises(ConfigError, match=r'"djq\.gpus".*Did you mean "djq\.gpu"'):
        route("lab.Spikes", options, FLEET)


def test_without_a_file_a_queue_may_have_any_name():
    assert route("lab.Spikes", PopulateOptions(queue="mine"), FleetPlan()).queue == "mine"


def test_units_come_with_the_limit_of_the_fleet():
    options = PopulateOptions(limits={"matlab": 2})
    assert route("lab.Spikes", options, FLEET).units == {"matlab": (2, 4)}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"matlab": 5},
            r'takes 5 of "matlab" at once, and there are 4.*raise matlab under.*fleet\.toml',
        ),
        ({"idl": 1}, r'"idl", and nothing says how many.*idl = 4.*fleet\.toml'),
    ],
)
def test_units_that_there_can_never_be_are_an_error(limits, message):
    with pytest.raises(ConfigError, match=message):
        route("lab.Spikes", PopulateOptions(limits=limits), FLEET)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[queues."djq.gpu"]\ngpus = 1', r"queues\.djq\.gpu\.gpus: there is no such.*\"gpu\""),
        ('[queues."djq.gpu"]\nmemory = "much"', r'memory: write a size such as "8 GB"'),
        ('[queues."djq gpu"]', r"djq gpu"),
        ("[limit]\nmatlab = 4", r'limit: there is no such.*"limits"'),
        ("[limits]\nmatlab = 0", r"limits\.matlab: .* not 0"),
        ("[queues", "cannot read"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(tmp_path, text, message):
    (tmp_path / "fleet.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_fleet(load())


def test_a_file_that_was_named_must_be_there():
    with pytest.raises(ConfigError, match=r"elsewhere\.toml"):
        load_fleet(load(fleet_file="elsewhere.toml"))


@pytest.mark.parametrize("place", ["fleet.toml", "workers/fleet.toml"])
def test_the_file_is_found_beside_the_settings(tmp_path, monkeypatch, place):
    (tmp_path / "djq.toml").touch()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text('[queues."djq.gpu"]\nmemory = "2 GiB"\nconcurrency = 1')
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    fleet = load_fleet(load())
    assert (fleet.default_queue, fleet.queue("djq.gpu").memory) == ("djq.gpu", 2 * 2**30)


def test_the_file_that_comes_with_djq_says_what_counts_without_one():
    ours = Path(__file__).parents[3] / "workers" / "fleet.toml"
    fleet = load_fleet(load(fleet_file=ours))
    assert (fleet.queues, fleet.limits) == (FleetPlan().queues, FleetPlan().limits)
