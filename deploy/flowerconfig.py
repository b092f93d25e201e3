"""Flower behind a password and read-only: whoever may control a worker may run tasks.

Point `FLOWER_CONF` at this file and set `FLOWER_BASIC_AUTH=user:password`; each name below is an
option of Flower (https://flower.readthedocs.io/en/latest/config.html).
"""

from __future__ import annotations

import os

if not os.environ.get("FLOWER_BASIC_AUTH"):
    message = "Flower would be open to everybody: set FLOWER_BASIC_AUTH=user:password"
    raise SystemExit(message)

read_only = True
# Inside a container; the port is published on the host's 127.0.0.1 only.
address = os.environ.get("FLOWER_ADDRESS", "0.0.0.0")  # noqa: S104 - see above
# A chunk is one task; older ones are in the database's own tables.
max_tasks = 20_000
# Workers come and go; without this the page and its metrics remember all of them [s].
purge_offline_workers = 3600
tasks_columns = "name,uuid,state,kwargs,result,received,runtime,worker"
