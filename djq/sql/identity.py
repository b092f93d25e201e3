"""Which database is it? A name that does not depend on how its address is spelled."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

from djq.sql.engine import Database

_LENGTH = 12
#: Everybody may read these; a table with an id of our own would need rights of its own.
_VARIABLES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
    "('server_uuid', 'hostname', 'port', 'wsrep_on', 'group_replication_group_name')"
)
_CLUSTER = "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'"


def ask_identity(url: str, *, timeout_s: float, tls: bool | None) -> str:
    """Return `identity_of` the database at a URL, over a connection that is closed again.

    Raises
    ------
    DatabaseError
        It cannot be asked.
    """
    with closing(Database(url, timeout_s=timeout_s, tls=tls)) as database:
        return identity_of(database)


def identity_of(database: Database) -> str:
    """Return a name such as `mysql-3f9a01c27b44`: the same by whatever address it is reached.

    MySQL: the server's UUID; of a cluster the cluster's. MariaDB, which has none: the server's own
    name of its host and its own port. SQLite: where the file really is.

    Raises
    ------
    DatabaseError
        The server cannot be asked.
    """
    if database.is_sqlite:
        # Without symbolic links, and from the root.
        return _named("sqlite", str(Path(database.url.database or "").resolve()))
    found = dict(database.query(_VARIABLES))
    backend = database.dialect.backend
    if found.get("wsrep_on") == "ON":
        cluster = dict(database.query(_CLUSTER)).get("wsrep_cluster_state_uuid")
        if cluster:
            return _named(backend, cluster)
    known = found.get("group_replication_group_name") or found.get("server_uuid")
    return _named(backend, known or f"{found['hostname']}:{found['port']}")


def _named(kind: str, text: str) -> str:
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]}"
