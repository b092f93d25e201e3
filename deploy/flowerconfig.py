"""Flower behind a password and read-only: whoever may control a worker may run tasks.

Point `FLOWER_CONF` at this file and set `FLOWER_BASIC_AUTH=user:password`; then `djq flower` and
`celery -A workers flower` start with it. Names are those of Flower's options.
"""

from __future__ import annotations

import os

if not os.environ.get("FLOWER_BASIC_AUTH"):
    message = "Flower would be open to everybody: set FLOWER_BASIC_AUTH=user:password"
    raise SystemExit(message)

read_only = True
