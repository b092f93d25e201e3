"""Main processes: which of them are alive, and which keys died with one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from djq.orchestrator.holding import NOTHING_IN_HAND, Census, Main

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.orchestrator.server import Server


@dataclass(frozen=True, slots=True)
class Holders:
    """The main processes of one installation, whose heartbeats keep what their holders have.

    Every method is one round trip, and raises `RedisUnavailableError` when Redis does not answer.
    """

    server: Server
    lease_ms: int
    #: Of a Redis that remembers none.
    new_epoch: str

    def beat(self, main: Main) -> str:
        """Renew the lease of a main process for all its holders; return the epoch."""
        info = json.dumps(asdict(main), separators=(",", ":"))
        return str(self.server.call("beat", main.id, info, self.lease_ms, self.new_epoch))

    def prune(
        self,
        main: str,
        alive: Iterable[int | str],
        *,
        is_lost: bool,
        in_hand: Mapping[str, str] = NOTHING_IN_HAND,
    ) -> int:
        """Free what a main process's holders have, but for the slots alive; return how many keys.

        is_lost counts the key that a process had in hand when it died, by slot in `in_hand`: it
        may be what killed it. Where that is not known, a key that was alone in its chunk is counted
        and the keys of a chunk of several are noted with a count of 0.
        """
        slots = sorted(str(slot) for slot in alive)
        pairs = [text for pair in in_hand.items() for text in pair]
        return int(self.server.call("prune", main, int(is_lost), len(slots), *slots, *pairs))

    def leave(self, main: str) -> int:
        """End a main process in good order: what it holds goes back, uncounted; return how many."""
        return int(self.server.call("leave", main))

    def reap(self) -> Census:
        """Free what dead main processes hold, and tell who is alive."""
        return _census(self.server.call("reap", self.new_epoch, self.lease_ms))

    def look(self) -> Census:
        """Tell who is alive and who is not, and change nothing."""
        return _census(self.server.call("look"))

    def losses(self, table: str) -> dict[str, int]:
        """Return the keys of a table that dying workers took along, and how often."""
        counts = self.server.read_hash("losses", table)
        return {key: int(n) for key, n in counts.items()}

    def forgive(self, table: str, keys: Sequence[str]) -> None:
        """Forget how often these keys were lost with a dying worker."""
        if keys:
            self.server.remove_fields("losses", table, fields=keys)


def _census(answer: tuple[str, list[str], list[str]]) -> Census:
    epoch, silent, alive = answer
    return Census(epoch, tuple(_main(text) for text in alive), tuple(silent))


def _main(text: str) -> Main:
    info: dict[str, Any] = json.loads(text)
    known = {name: info[name] for name in ("host", "pid", "slots", "is_stopping") if name in info}
    tables, queues = (tuple(info.get(name, ())) for name in ("tables", "queues"))
    return Main(id=str(info.get("id", "")), tables=tables, queues=queues, **known)
