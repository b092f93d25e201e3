"""Scientific data pipelines as tables, computed by a fleet: `import djq as dj`.

The public names, listed and nothing else. Each is imported when it is first used, so that
`import djq` itself loads none of the libraries behind them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djq.algebra.forms import AndList as AndList
    from djq.algebra.forms import Not as Not
    from djq.algebra.forms import Top as Top
    from djq.codecs.codec import Codec as Codec
    from djq.codecs.registry import get as get_codec
    from djq.codecs.registry import names as list_codecs
    from djq.diagrams.diagram import Diagram as Di
    from djq.diagrams.diagram import Diagram as Diagram
    from djq.diagrams.diagram import Diagram as ERD  # noqa: N814 - DataJoint's older spelling
    from djq.errors import DjqError as DataJointError
    from djq.errors import DjqError as DjqError
    from djq.objects.arrayref import ArrayRef as ArrayRef
    from djq.objects.handle import ObjectRef as ObjectRef
    from djq.objects.npyref import NpyRef as NpyRef
    from djq.orchestrator.run import Run as Run
    from djq.orchestrator.submission import runs as runs
    from djq.orchestrator.submission import submit as submit
    from djq.populate.autopopulate import Computed as Compute
    from djq.populate.autopopulate import Computed as Computed
    from djq.populate.autopopulate import Imported as Imported
    from djq.populate.autopopulate import Imported as Ingest
    from djq.populate.options import PopulateOptions as PopulateOptions
    from djq.populate.planning import Plan as Plan
    from djq.populate.planning import plan as plan
    from djq.settings import Settings as Settings
    from djq.tables import garbage as gc
    from djq.tables.checking import fsck as fsck
    from djq.tables.configuration import config as config
    from djq.tables.connection import Connection as Connection
    from djq.tables.connection import conn as conn
    from djq.tables.free import FreeTable as FreeTable
    from djq.tables.query import Query as Query
    from djq.tables.schema import Schema as Schema
    from djq.tables.schema import Schema as schema  # noqa: N813 - DataJoint's older spelling
    from djq.tables.table import Lookup as Lookup
    from djq.tables.table import Manual as Entry
    from djq.tables.table import Manual as Manual
    from djq.tables.table import Part as Part
    from djq.tables.table import Table as Table
    from djq.tables.universal import U as U
    from djq.tables.validate import ValidationResult as ValidationResult
    from djq.tables.virtual import VirtualModule as VirtualModule
    from djq.tables.virtual import VirtualModule as create_virtual_module  # noqa: N813 - DataJoint's
    from djq.tables.virtual import list_schemas as list_schemas
    from djq.tables.virtual import virtual_schema as virtual_schema

__version__ = "0.1.0"

#: Public name → where it is defined.
_HOMES = {
    "AndList": "djq.algebra.forms:AndList",
    "ArrayRef": "djq.objects.arrayref:ArrayRef",
    "Codec": "djq.codecs.codec:Codec",
    "Compute": "djq.populate.autopopulate:Computed",
    "Computed": "djq.populate.autopopulate:Computed",
    "Connection": "djq.tables.connection:Connection",
    "DataJointError": "djq.errors:DjqError",
    "Di": "djq.diagrams.diagram:Diagram",
    "Diagram": "djq.diagrams.diagram:Diagram",
    "DjqError": "djq.errors:DjqError",
    "ERD": "djq.diagrams.diagram:Diagram",
    "Entry": "djq.tables.table:Manual",
    "FreeTable": "djq.tables.free:FreeTable",
    "Imported": "djq.populate.autopopulate:Imported",
    "Ingest": "djq.populate.autopopulate:Imported",
    "Lookup": "djq.tables.table:Lookup",
    "Manual": "djq.tables.table:Manual",
    "Not": "djq.algebra.forms:Not",
    "ObjectRef": "djq.objects.handle:ObjectRef",
    "NpyRef": "djq.objects.npyref:NpyRef",
    "Part": "djq.tables.table:Part",
    "Plan": "djq.populate.planning:Plan",
    "PopulateOptions": "djq.populate.options:PopulateOptions",
    "Query": "djq.tables.query:Query",
    "Run": "djq.orchestrator.run:Run",
    "Schema": "djq.tables.schema:Schema",
    "Settings": "djq.settings:Settings",
    "Table": "djq.tables.table:Table",
    "Top": "djq.algebra.forms:Top",
    "U": "djq.tables.universal:U",
    "ValidationResult": "djq.tables.validate:ValidationResult",
    "VirtualModule": "djq.tables.virtual:VirtualModule",
    "config": "djq.tables.configuration:config",
    "conn": "djq.tables.connection:conn",
    "create_virtual_module": "djq.tables.virtual:VirtualModule",
    "fsck": "djq.tables.checking:fsck",
    "get_codec": "djq.codecs.registry:get",
    "list_codecs": "djq.codecs.registry:names",
    "list_schemas": "djq.tables.virtual:list_schemas",
    "plan": "djq.populate.planning:plan",
    "runs": "djq.orchestrator.submission:runs",
    "schema": "djq.tables.schema:Schema",
    "submit": "djq.orchestrator.submission:submit",
    "virtual_schema": "djq.tables.virtual:virtual_schema",
}
_MODULES = {"errors": "djq.errors", "gc": "djq.tables.garbage"}
#: Names of DataJoint that later releases will have.
_NOT_YET = ("Instance", "migrate")

__all__ = [
    "ERD",
    "AndList",
    "ArrayRef",
    "Codec",
    "Compute",
    "Computed",
    "Connection",
    "DataJointError",
    "Di",
    "Diagram",
    "DjqError",
    "Entry",
    "FreeTable",
    "Imported",
    "Ingest",
    "Lookup",
    "Manual",
    "Not",
    "NpyRef",
    "ObjectRef",
    "Part",
    "Plan",
    "PopulateOptions",
    "Query",
    "Run",
    "Schema",
    "Settings",
    "Table",
    "Top",
    "U",
    "ValidationResult",
    "VirtualModule",
    "config",
    "conn",
    "create_virtual_module",
    "fsck",
    "gc",
    "get_codec",
    "list_codecs",
    "list_schemas",
    "plan",
    "runs",
    "schema",
    "submit",
    "virtual_schema",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - each name has its own type
    """Import a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOMES:
        message = f"module 'djq' has no attribute {name!r}"
        if name in _NOT_YET:
            message = f"dj.{name} is not built yet; docs/differences.md says what is missing"
        raise AttributeError(message)
    module, _, attribute = _HOMES[name].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
