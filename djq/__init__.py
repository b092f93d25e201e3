"""Scientific data pipelines as tables, computed by a fleet: `import djq as dj`.

The public names, listed and nothing else. Each is imported when it is first used, so that
`import djq` itself loads none of the libraries behind them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djq.algebra.conditions import AndList as AndList
    from djq.algebra.conditions import Not as Not
    from djq.errors import DjqError as DataJointError
    from djq.errors import DjqError as DjqError
    from djq.orchestrator.run import Run as Run
    from djq.orchestrator.run import submit as submit
    from djq.populate.autopopulate import Computed as Computed
    from djq.populate.autopopulate import Imported as Imported
    from djq.settings import Settings as Settings
    from djq.tables.configuration import config as config
    from djq.tables.connection import Connection as Connection
    from djq.tables.connection import conn as conn
    from djq.tables.query import Query as Query
    from djq.tables.schema import Schema as Schema
    from djq.tables.schema import Schema as schema  # noqa: N813 - DataJoint's older spelling
    from djq.tables.table import Lookup as Lookup
    from djq.tables.table import Manual as Manual
    from djq.tables.table import Part as Part

__version__ = "0.1.0"

#: Public name → where it is defined.
_HOMES = {
    "AndList": "djq.algebra.conditions:AndList",
    "Computed": "djq.populate.autopopulate:Computed",
    "Connection": "djq.tables.connection:Connection",
    "DataJointError": "djq.errors:DjqError",
    "DjqError": "djq.errors:DjqError",
    "Imported": "djq.populate.autopopulate:Imported",
    "Lookup": "djq.tables.table:Lookup",
    "Manual": "djq.tables.table:Manual",
    "Not": "djq.algebra.conditions:Not",
    "Part": "djq.tables.table:Part",
    "Query": "djq.tables.query:Query",
    "Run": "djq.orchestrator.run:Run",
    "Schema": "djq.tables.schema:Schema",
    "Settings": "djq.settings:Settings",
    "config": "djq.tables.configuration:config",
    "conn": "djq.tables.connection:conn",
    "schema": "djq.tables.schema:Schema",
    "submit": "djq.orchestrator.run:submit",
}
_MODULES = ("errors",)

__all__ = [
    "AndList",
    "Computed",
    "Connection",
    "DataJointError",
    "DjqError",
    "Imported",
    "Lookup",
    "Manual",
    "Not",
    "Part",
    "Query",
    "Run",
    "Schema",
    "Settings",
    "config",
    "conn",
    "schema",
    "submit",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - each name has its own type
    """Import a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"djq.{name}")
    if name not in _HOMES:
        message = f"module 'djq' has no attribute {name!r}"
        raise AttributeError(message)
    module, _, attribute = _HOMES[name].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
