"""The contract of dispatchers: Celery's messages, and the broker that simulations use."""

from __future__ import annotations

import ast
import base64
import json
import secrets
from contextlib import closing
from dataclasses import replace

import pytest
import redis
from kombu.utils.json import loads
from redis.connection import AbstractConnection

from djq.errors import RedisUnavailableError
from djq.orchestrator.app import producer_app
from djq.orchestrator.dispatch import SHOWN_KEYS, CeleryDispatcher, n_waiting, wire_name
from djq.orchestrator.states import DEFAULT_QUEUE, Chunk
from djq.settings import load
from tests.stateful.model_fleet import Broker
from tests.support.servers import free_port

TABLE = "lab.Detection"


def shown(table: str, key: str) -> dict[str, int]:
    return {"image_id": json.loads(key)[0]}


def chunk(name: str, *numbers: int) -> Chunk:
    return Chunk(name, "run", TABLE, tuple(f"[{number}]" for number in numbers or (1, 2)))


class CeleryBench:
    def __init__(self, url: str, tmp_path) -> None:
        self.settings = load(redis_url=url, state_dir=tmp_path, namespace="contract")
        self.dispatcher = CeleryDispatcher(producer_app(self.settings), shown)
        self.client = redis.Redis.from_url(url)
        self.others: list[CeleryDispatcher] = []

    def take(self, queue: str = DEFAULT_QUEUE) -> dict:
        """Take the oldest message, as a worker does."""
        return json.loads(self.client.rpop(f"djq:{{contract}}:celery:{queue}"))

    def another(self) -> CeleryDispatcher:
        """The dispatcher of another scheduler."""
        self.others.append(CeleryDispatcher(producer_app(self.settings), shown))
        return self.others[-1]

    def close(self) -> None:
        for dispatcher in (self.dispatcher, *self.others):
            dispatcher.close()
        self.client.close()


class RabbitBench(CeleryBench):
    """RabbitMQ cannot be asked for its queues: schedulers know those of the fleet's file."""

    def __init__(self, url: str, tmp_path) -> None:
        self.settings = load(
            broker_url=url,
            redis_url=f"redis://127.0.0.1:{free_port()}/0",  # messages need none
            state_dir=tmp_path,
            namespace=f"contract-{secrets.token_hex(4)}",
        )
        self.app = producer_app(self.settings)
        self.dispatcher = CeleryDispatcher(self.app, shown, ("lab.gpu",))
        self.others: list[CeleryDispatcher] = []

    def take(self, queue: str = DEFAULT_QUEUE) -> dict:
        with self.app.connection_for_read() as connection, connection.channel() as channel:
            message = channel.basic_get(wire_name(self.app, queue), no_ack=True)
            return {"headers": message.headers, "body": message.body}

    def another(self) -> CeleryDispatcher:
        self.others.append(CeleryDispatcher(producer_app(self.settings), shown, ("lab.gpu",)))
        return self.others[-1]

    def close(self) -> None:
        for dispatcher in (self.dispatcher, *self.others):
            dispatcher.close()


class BrokerBench:
    def __init__(self) -> None:
        self.dispatcher = Broker()

    def take(self) -> None:
        self.dispatcher.messages.pop(0)

    def another(self) -> Broker:
        return self.dispatcher

    def close(self) -> None:
        pass


@pytest.fixture(params=["redis", "rabbit", "model"])
def bench(request: pytest.FixtureRequest, tmp_path):
    kinds = {"redis": CeleryBench, "rabbit": RabbitBench}
    if request.param == "model":
        made = BrokerBench()
    else:
        made = kinds[request.param](request.getfixturevalue(f"{request.param}_url"), tmp_path)
    yield made
    made.close()


@pytest.fixture
def rabbit_bench(rabbit_url: str, tmp_path):
    made = RabbitBench(rabbit_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def celery_bench(redis_url: str, tmp_path):
    made = CeleryBench(redis_url, tmp_path)
    yield made
    made.close()


def test_what_was_sent_waits(bench) -> None:
    bench.dispatcher.send([chunk("c1"), chunk("c2")])
    assert bench.dispatcher.waiting() == {"c1", "c2"}


def test_what_was_taken_does_not_wait(bench) -> None:
    bench.dispatcher.send([chunk("c1"), chunk("c2")])
    bench.take()
    assert bench.dispatcher.waiting() == {"c2"}


def test_what_waits_on_any_queue_is_seen_by_all(bench) -> None:
    bench.dispatcher.send([chunk("c1"), replace(chunk("c2"), queue="lab.gpu")])
    assert bench.another().waiting() == {"c1", "c2"}


def test_a_chunk_goes_to_its_queue(celery_bench) -> None:
    celery_bench.dispatcher.send([chunk("c1"), replace(chunk("c2"), queue="lab.gpu")])
    assert celery_bench.take("lab.gpu")["headers"]["id"] == "c2"
    assert celery_bench.take()["headers"]["id"] == "c1"


def test_rabbits_queues_of_two_installations_are_apart(rabbit_bench, rabbit_url, tmp_path) -> None:
    rabbit_bench.dispatcher.send([chunk("c1"), replace(chunk("c2"), queue="lab.gpu")])
    with closing(RabbitBench(rabbit_url, tmp_path)) as other:
        other.dispatcher.send([chunk("c3")])
        assert other.dispatcher.waiting() == {"c3"}
    assert rabbit_bench.take("lab.gpu")["headers"]["id"] == "c2"
    assert rabbit_bench.take()["headers"]["id"] == "c1"


def test_rabbit_still_has_what_was_looked_at(rabbit_bench) -> None:
    """To see the messages of a queue is to take them, and to put them back in their order."""
    rabbit_bench.dispatcher.send([chunk(f"c{i}") for i in range(20)])
    for _ in range(3):
        assert len(rabbit_bench.dispatcher.waiting()) == 20
    taken = [rabbit_bench.take()["headers"]["id"] for _ in range(20)]
    assert taken == [f"c{i}" for i in range(20)]


@pytest.mark.parametrize("kind", ["redis", "rabbit"])
def test_messages_that_wait_are_counted(kind, request, tmp_path) -> None:
    name = "rabbit_bench" if kind == "rabbit" else "celery_bench"
    bench = request.getfixturevalue(name)
    app = producer_app(bench.settings)
    names = [wire_name(app, queue) for queue in (DEFAULT_QUEUE, "lab.gpu", "lab.nothing")]
    bench.dispatcher.send([chunk("c1"), chunk("c2"), replace(chunk("c3"), queue="lab.gpu")])
    assert n_waiting(app, names) == 3
    assert n_waiting(app, names[1:]) == 1


def test_nothing_sent_is_nothing_waiting(bench) -> None:
    bench.dispatcher.send([])
    assert bench.dispatcher.waiting() == frozenset()


def test_a_message_carries_run_table_chunk_and_keys_as_json(celery_bench) -> None:
    celery_bench.dispatcher.send([chunk("c1", 1, 2)])
    message = celery_bench.take()
    assert (message["headers"]["id"], message["headers"]["task"]) == ("c1", TABLE)
    assert message["content-type"] == "application/json"
    _, kwargs, _ = loads(base64.b64decode(message["body"]))
    assert kwargs == {"run": "run", "table": TABLE, "chunk": "c1", "keys": [[1], [2]]}


def test_a_message_shows_its_keys_as_a_dict_that_can_be_searched(celery_bench) -> None:
    celery_bench.dispatcher.send([chunk("c1", 1, 2), chunk("c2", *range(50))])
    texts = [celery_bench.take()["headers"]["kwargsrepr"] for _ in range(2)]
    few, many = (ast.literal_eval(text) for text in texts)
    assert few == {"table": TABLE, "keys": [{"image_id": 1}, {"image_id": 2}], "run": "run"}
    assert many["keys"][-1] == f"… {50 - SHOWN_KEYS} more"


def test_a_thousand_chunks_take_few_round_trips(celery_bench, monkeypatch) -> None:
    celery_bench.dispatcher.send([chunk("first")])
    # Not the server's reads: how many there are depends on how the packets come in.
    sent = []
    send = AbstractConnection.send_packed_command
    monkeypatch.setattr(
        AbstractConnection,
        "send_packed_command",
        lambda *args, **kwargs: (sent.append(1), send(*args, **kwargs)),
    )

    celery_bench.dispatcher.send([chunk(f"c{i}") for i in range(1000)])

    assert 1 <= len(sent) <= 2
    assert len(celery_bench.dispatcher.waiting()) == 1001


def test_a_broker_that_comes_back_is_used_again(celery_bench, redis_server) -> None:
    celery_bench.dispatcher.send([chunk("c1")])
    redis_server.kill()
    with pytest.raises(RedisUnavailableError):
        celery_bench.dispatcher.send([chunk("c2")])
    redis_server.start()
    celery_bench.dispatcher.send([chunk("c3")])
    assert celery_bench.dispatcher.waiting() == {"c3"}


@pytest.mark.parametrize(("name", "scheme"), [("redis_url", "redis"), ("broker_url", "amqp")])
def test_an_unreachable_broker_is_named_without_its_password(name, scheme, tmp_path) -> None:
    port = free_port()
    settings = load(state_dir=tmp_path, **{name: f"{scheme}://x:secret@127.0.0.1:{port}/0"})
    dispatcher = CeleryDispatcher(producer_app(settings), shown)
    with pytest.raises(RedisUnavailableError, match=f"127.0.0.1:{port}") as caught:
        dispatcher.send([chunk("c1")])
    assert "secret" not in str(caught.value)
    assert f"DJQ_{name.upper()}" in str(caught.value)
    assert n_waiting(producer_app(settings), [DEFAULT_QUEUE]) is None
