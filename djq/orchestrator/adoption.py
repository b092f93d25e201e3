"""A scheduler's other duty: runs whose process is gone are driven by it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from djq.errors import DjqError
from djq.orchestrator.driving import Driver, lead_name
from djq.orchestrator.work import Work, opened
from djq.populate import restrictions
from djq.populate.runs import OPEN, RunStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.runs import RunRecord
    from djq.tables.connection import Connection

logger = logging.getLogger("djq.scheduler")

#: Stored runs are looked at this often [s].
ADOPT_S = 5.0


class Adoption:
    """Drives the stored runs of some tables that nobody drives, in threads.

    Parameters
    ----------
    tables
        Display names and classes: runs of other tables are left alone.
    every_s
        How often it looks [s].
    """

    def __init__(
        self, tables: Mapping[str, type[AutoPopulate]], *, every_s: float = ADOPT_S
    ) -> None:
        self._tables = dict(tables)
        self._every_s = every_s
        self._drivers: dict[str, Driver] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="djq-adoption")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Leave all runs to others."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        connections = {id(c): c for c in (t.schema.connection for t in self._tables.values())}
        try:
            while not self._stopping.wait(self._every_s):
                try:
                    for connection in connections.values():
                        self._look(connection)
                except DjqError as error:
                    logger.warning("runs_not_looked_at: %s", error)
        finally:
            for driver in self._drivers.values():
                driver.stop()
            for connection in connections.values():
                connection.database.close()

    def _look(self, connection: Connection) -> None:
        self._drivers = {name: its for name, its in self._drivers.items() if its.is_alive}
        schemas = dict.fromkeys(
            t.schema.name for t in self._tables.values() if t.schema.connection is connection
        )
        stores = [RunStore(connection, schema) for schema in schemas]
        orphans = [
            (store, record)
            for store in stores
            for record in store.all(OPEN)
            if self._may_drive(record)
        ]
        if not orphans:
            return
        with opened(connection.settings) as reservations:
            led = reservations.leads.leaders([lead_name(record.id) for _, record in orphans])
        for store, record in orphans:
            if lead_name(record.id) not in led:
                self._adopt(store, record)

    def _may_drive(self, record: RunRecord) -> bool:
        is_known = set(record.tables) <= set(self._tables)
        return is_known and record.restrictions is not None and record.id not in self._drivers

    def _adopt(self, store: RunStore, record: RunRecord) -> None:
        logger.info("run_adopted: %s", record.id)
        tables = {name: self._tables[name] for name in record.tables}
        work = Work(record, tables, restrictions.from_json(record.restrictions or ()))
        driver = self._drivers[record.id] = Driver(work, store, is_leaving=True)
        driver.start()
