from __future__ import annotations

import socket

from djq.ops.stack import environment, free_port
from djq.settings import StoreSettings, load


def test_a_program_of_the_stack_reads_the_settings_it_was_given(monkeypatch, tmp_path):
    given = load(
        database_url="mysql://djq:se%20cret@db:3306",
        redis_url="redis://localhost:6379/1",
        pipeline=("lab.a", "lab.b"),
        state_dir=tmp_path / "state",
        stores={
            "tiles": StoreSettings(url="s3://bucket", secret_key="key"),
            "far": StoreSettings(url="az://box", options={"accountKey": "a,b=", "n": 2, "x": True}),
        },
        lease_s=7.5,
    )
    monkeypatch.setenv("DJQ_NAMESPACE", "another")

    env = environment(given)
    for name in ("DJQ_NAMESPACE", *env):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert load() == given


def test_flower_gets_another_port_when_its_own_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert free_port(port) not in {0, port}
    assert free_port(port) == port
