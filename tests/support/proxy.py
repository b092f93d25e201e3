"""A TCP proxy in front of MariaDB or MySQL that holds, cuts and swallows what goes through.

It reads as much of the protocol as it takes to see a COMMIT: packets that begin with their length,
and commands that are text. Without compression or encryption.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from tests.support.servers import HOST

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

T = TypeVar("T")

#: Where a COMMIT is held: before the server gets it, or after the server did it.
Place = Literal["before", "answered"]
#: The proxy's own loop answers within this time [s].
LOOP_S = 30.0
#: Length of a packet's header, and the command that is a statement as text.
HEADER, QUERY = 4, 3
CHUNK_BYTES = 1 << 16


class Trap:
    """Holds the first COMMIT behind an INSERT into some table.

    Parameters
    ----------
    table
        Part of the table's name on the server.
    place
        Where the COMMIT is held.
    """

    def __init__(self, table: str, place: Place, loop: asyncio.AbstractEventLoop) -> None:
        self.table = table.encode()
        self.place = place
        self._loop = loop
        self._caught: int | None = None
        self._freed = asyncio.Event()
        self.is_cut = False

    @property
    def client_port(self) -> int | None:
        """The port of the client whose COMMIT is held; None before that."""
        return self._caught

    def let_go(self) -> None:
        """Let the COMMIT, or its answer, go on its way."""
        self._loop.call_soon_threadsafe(self._freed.set)

    def cut(self) -> None:
        """End both connections instead; an answer is swallowed."""
        self.is_cut = True
        self.let_go()

    async def hold(self, link: _Link) -> None:
        """Stand still until `let_go`."""
        self._caught = link.client_port
        await self._freed.wait()


@dataclass(eq=False)
class _Link:
    """One client and its connection to the server."""

    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    #: The INSERTs of the open transaction.
    inserts: list[bytes] = field(default_factory=list[bytes])
    #: Set while answers go to the client as they come.
    answers_flow: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set when the server has said something.
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def client_port(self) -> int:
        """The port at the client's end."""
        port: int = self.client[1].get_extra_info("peername")[1]
        return port

    def close(self) -> None:
        """End both connections."""
        for _, writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Passes connections on to the server at a `mysql://` URL; `with` closes it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or HOST, parts.port or 3306)
        self._links: set[_Link] = set()
        self._trap: Trap | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._port = 0
        self.up()
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        #: The server's URL by way of the proxy.
        self.url = parts._replace(netloc=f"{user}{HOST}:{self._port}").geturl()

    def __enter__(self) -> Proxy:
        """Return the proxy."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End all connections and the proxy."""
        if self._trap is not None:
            self._trap.cut()
        self.down()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def n_connections(self) -> int:
        """How many clients are connected."""
        return len(self._links)

    def trap(self, table: str, place: Place) -> Trap:
        """Hold the next COMMIT behind an INSERT into a table."""
        self._trap = Trap(table, place, self._loop)
        return self._trap

    def cut_all(self) -> int:
        """End all connections, as a switch that lost its memory would; return how many."""

        async def cut() -> int:
            links = list(self._links)
            for link in links:
                link.close()
            return len(links)

        return self._do(cut())

    def down(self) -> None:
        """End all connections and refuse new ones, as a server that stopped."""

        async def stop() -> None:
            if self._server is not None:
                self._server.close()
            self._server = None

        self._do(stop())
        self.cut_all()

    def up(self) -> None:
        """Take connections, on the same port as before."""

        async def start() -> None:
            self._server = await asyncio.start_server(self._accept, HOST, self._port)
            self._port = self._server.sockets[0].getsockname()[1]

        self._do(start())

    # The loop's side.

    def _do(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LOOP_S)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link((reader, writer), server)
        link.answers_flow.set()
        self._links.add(link)
        try:
            # Whichever end closes takes the other one along.
            pumps = [asyncio.ensure_future(pump(link)) for pump in (self._asked, self._answered)]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._links.discard(link)
            link.close()

    async def _asked(self, link: _Link) -> None:
        """Pass on what the client says, packet by packet."""
        reader, writer = link.client[0], link.server[1]
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                header = await reader.readexactly(HEADER)
                body = await reader.readexactly(int.from_bytes(header[:3], "little"))
                is_command = header[3] == 0 and body[:1] == bytes([QUERY])
                trap = self._trapped(link, body[1:]) if is_command else None
                if trap is not None and not await self._spring(trap, link, header + body):
                    return
                if trap is None:
                    writer.write(header + body)
                    await writer.drain()

    def _trapped(self, link: _Link, statement: bytes) -> Trap | None:
        """Follow a transaction; return the trap that its COMMIT runs into."""
        text = statement.lstrip()[:4000]
        if text[:6].upper() == b"INSERT":
            link.inserts.append(text)
            return None
        if text[:6].upper() != b"COMMIT":
            return None
        trap = self._trap
        is_meant = trap is not None and any(trap.table in insert for insert in link.inserts)
        link.inserts.clear()
        if not is_meant:
            return None
        self._trap = None
        return trap

    async def _spring(self, trap: Trap, link: _Link, packet: bytes) -> bool:
        """Hold a COMMIT; return whether the connection goes on."""
        if trap.place == "before":
            await trap.hold(link)
            if trap.is_cut:
                return False
            link.server[1].write(packet)
            return True
        link.answers_flow.clear()
        link.answered.clear()
        link.server[1].write(packet)
        # The server has committed once it answers.
        await link.answered.wait()
        await trap.hold(link)
        if trap.is_cut:
            return False
        link.answers_flow.set()
        return True

    async def _answered(self, link: _Link) -> None:
        """Pass on what the server says."""
        reader, writer = link.server[0], link.client[1]
        with contextlib.suppress(OSError):
            while True:
                data = await reader.read(CHUNK_BYTES)
                if not data:
                    return
                link.answered.set()
                await link.answers_flow.wait()
                writer.write(data)
                await writer.drain()
