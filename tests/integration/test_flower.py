"""What Flower shows: tasks are tables, with their keys; failures are failures."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import pytest

import djq as dj
from tests.support.servers import free_port
from tests.support.waiting import wait_until

USER = "djq:secret"
BAD = 3
N = 12

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Flower:
    """A running Flower, asked through its API."""

    def __init__(self, port: int) -> None:
        self.site = f"http://127.0.0.1:{port}"

    def get(self, path: str, *, user: str | None = USER) -> tuple[int, bytes]:
        """The status and body; 0 while nobody listens."""
        request = urllib.request.Request(self.site + path)
        if user is not None:
            request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except urllib.error.URLError:
            return 0, b""

    def tasks(self) -> list[dict]:
        status, body = self.get("/api/tasks")
        return list(json.loads(body).values()) if status == 200 else []

    def is_up(self) -> bool:
        return self.get("/healthcheck")[0] == 200


@pytest.fixture
def flower(fleet, start_process) -> Flower:
    port = free_port()
    argv = ("-m", "djq.ops.cli", "flower", "--port", str(port))
    process = start_process(*argv, settings=fleet.settings, env={"FLOWER_BASIC_AUTH": USER})
    found = Flower(port)
    wait_until(found.is_up, what=f"{process!r}", timeout_s=60)
    return found


def test_flower_shows_tables_keys_and_failures(fleet, flower):
    # given a fleet in which one key fails, and a Flower that hears it
    fleet.insert(N)
    fleet.start_worker(TEST_BAD=BAD)
    fleet.wait_for_workers()

    # when everything is made
    run = dj.submit(fleet.tables.schema)
    fleet.finish(run)

    # then each chunk is a task named after its table
    def settled() -> bool:
        tasks = flower.tasks()
        made = {task["name"] for task in tasks}
        is_over = all(task["state"] in {"SUCCESS", "FAILURE"} for task in tasks)
        return is_over and len(made) == 2 and "FAILURE" in {task["state"] for task in tasks}

    wait_until(settled, what="Flower to have heard everything", timeout_s=20)
    tasks = flower.tasks()
    square, cross = (t.spec.display_name for t in (fleet.tables.Square, fleet.tables.Cross))
    assert {task["name"] for task in tasks} == {square, cross}

    # with its keys, by the names of their attributes
    of_square = [task for task in tasks if task["name"] == square]
    assert all("'number'" in task["kwargs"] for task in of_square)
    assert any(f"{{'number': {BAD}}}" in task["kwargs"] for task in of_square)
    assert any("made=" in task["result"] for task in of_square if task["state"] == "SUCCESS")

    # and the failed one failed, with its traceback
    failed = [task for task in tasks if task["state"] == "FAILURE"]
    assert [task["name"] for task in failed] == [square]
    assert f"{{'number': {BAD}}}" in failed[0]["kwargs"]
    assert "ValueError" in failed[0]["exception"]
    assert "in make" in failed[0]["traceback"]
    assert len(fleet.tables.Square.jobs.errors) == 1


def test_flower_listens_here_only_and_changes_nothing(flower):
    assert flower.get("/", user=None)[0] == 401
    request = urllib.request.Request(f"{flower.site}/api/worker/shutdown/any", method="POST")
    request.add_header("Authorization", f"Basic {base64.b64encode(USER.encode()).decode()}")
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
        pass
    refused.value.close()
    assert refused.value.code == 403
