"""What is announced on the stream: chunks released, keys freed, rows inserted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: An announcement carries so much of an error's message [characters]; the job record has it all.
MESSAGE_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Released:
    """A worker is done with a chunk; every key that it reserved is in exactly one of the groups."""

    table: str
    chunk: str
    run: str
    made: tuple[str, ...] = ()
    exists: tuple[str, ...] = ()
    #: Key id and first line of the error's message.
    failed: tuple[tuple[str, str], ...] = ()
    #: Of these, keys that are to be tried again, and after how long [s].
    retries: tuple[tuple[str, float], ...] = ()
    empty: tuple[str, ...] = ()
    #: Not touched: the worker is shutting down, or the chunk took much longer than expected.
    returned: tuple[str, ...] = ()
    #: Computed, but the reservation had moved on.
    lost: tuple[str, ...] = ()
    #: Time spent on the keys that were made, failed or empty [s].
    seconds: float = 0.0
    worker: str = ""

    @property
    def n_tried(self) -> int:
        """Keys that `seconds` was spent on."""
        return len(self.made) + len(self.failed) + len(self.empty)

    @property
    def all_keys(self) -> tuple[str, ...]:
        """Keys of all groups."""
        failed = tuple(key for key, _ in self.failed)
        return self.made + self.exists + failed + self.empty + self.unsettled

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Keys that may be due again."""
        return self.returned + self.lost


@dataclass(frozen=True, slots=True)
class Freed:
    """Keys of a chunk are free again without having been made."""

    table: str
    chunk: str
    run: str
    keys: tuple[str, ...]
    reason: str
    #: One count per key of how many dying workers it took along, empty if nobody died. 0: it was
    #: in a chunk of several, any of which may be the cause; None: it is not.
    losses: tuple[int | None, ...] = ()

    @property
    def all_keys(self) -> tuple[str, ...]:
        """Its keys."""
        return self.keys


@dataclass(frozen=True, slots=True)
class Inserted:
    """Somebody inserted rows into a table, other than by its make."""

    #: Its name on the server: whoever inserts may have no class for it.
    table: str
    #: Ids over the primary key; None: too many, or not known.
    keys: tuple[str, ...] | None


#: What became of chunks.
Announcement = Released | Freed

GROUPS = ("made", "exists", "empty", "returned", "lost")


def encode(event: Released) -> str:
    """Return the text of a release for the stream; `Freed` is written by the scripts."""
    body: dict[str, Any] = {
        "kind": "released",
        "table": event.table,
        "chunk": event.chunk,
        "run": event.run,
    }
    body.update({group: getattr(event, group) for group in GROUPS if getattr(event, group)})
    if event.failed:
        body["failed"] = event.failed
    if event.retries:
        body["retries"] = event.retries
    return json.dumps(
        body | {"seconds": round(event.seconds, 6), "worker": event.worker}, separators=(",", ":")
    )


def encode_inserted(event: Inserted) -> str:
    """Return the text of new rows for the stream."""
    body = {"kind": "inserted", "table": event.table, "keys": event.keys}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> Announcement | Inserted | None:
    """Return what a text from the stream says; None if a newer version wrote it."""
    body: dict[str, Any] = json.loads(text)
    table, chunk, run = (str(body.get(name, "")) for name in ("table", "chunk", "run"))
    groups: dict[str, tuple[str, ...]] = {group: tuple(body.get(group, ())) for group in GROUPS}
    match body.get("kind"):
        case "released":
            return Released(
                table,
                chunk,
                run,
                made=groups["made"],
                exists=groups["exists"],
                failed=tuple((key, message) for key, message in body.get("failed", ())),
                retries=tuple((key, float(wait)) for key, wait in body.get("retries", ())),
                empty=groups["empty"],
                returned=groups["returned"],
                lost=groups["lost"],
                seconds=float(body.get("seconds", 0.0)),
                worker=str(body.get("worker", "")),
            )
        case "freed":
            return Freed(
                table,
                chunk,
                run,
                keys=tuple(body["keys"]),
                reason=str(body.get("reason", "")),
                losses=tuple(body.get("losses", ())),
            )
        case "inserted":
            keys = body.get("keys")
            return Inserted(table, None if keys is None else tuple(keys))
        case _:
            return None
