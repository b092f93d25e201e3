"""The modules that define a pipeline → its tables."""

from __future__ import annotations

import importlib
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from djq.errors import ConfigError, DjqError
from djq.populate.autopopulate import AutoPopulate
from djq.tables.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


@dataclass(frozen=True)
class Pipeline:
    """The auto-populated tables of some modules, by the names that people call them."""

    schemas: tuple[Schema, ...]
    tables: dict[str, type[AutoPopulate]]


def load_pipeline(modules: Sequence[str]) -> Pipeline:
    """Import modules and collect the tables of every schema that they name.

    Raises
    ------
    ConfigError
        No module is named, one cannot be found, or one defines no schema.
    """
    if not modules:
        message = (
            "no pipeline: name the modules that define the tables, as in "
            "`djq worker mylab.pipeline` or DJQ_PIPELINE=mylab.pipeline"
        )
        raise ConfigError(message)
    schemas: dict[str, Schema] = {}
    for name in modules:
        found = _schemas_in(_import(name))
        if not found:
            message = (
                f'the module "{name}" defines no schema: '
                "it needs schema = dj.Schema(...) and tables"
            )
            raise ConfigError(message)
        schemas.update({s.name: s for s in found})
    return Pipeline(tuple(schemas.values()), collect(tuple(schemas.values())))


def collect(schemas: Sequence[Schema]) -> dict[str, type[AutoPopulate]]:
    """Return the auto-populated tables of schemas by display name."""
    return {
        table.spec.display_name: table
        for schema in schemas
        for table in schema.tables.values()
        if issubclass(table, AutoPopulate)
    }


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as `python -m` does: pipelines live where people work
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            message = (
                f'cannot find the module "{name}" from {folder}: start in the folder that holds '
                "it, or install it, and write it with dots (mylab.pipeline)"
            )
        else:
            message = f'the module "{name}" needs "{missing}", which is not installed here'
        raise ConfigError(message) from error
    except DjqError:
        raise
    except Exception as error:
        message = f'the module "{name}" cannot be imported: {_where(error)}'
        raise ConfigError(message) from error


def _where(error: Exception) -> str:
    """Return an error and the line of the module that it comes from."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = next((f for f in reversed(frames) if not f.filename.startswith("<")), frames[-1])
    return f"{type(error).__name__}: {error} ({own.filename}, line {own.lineno})"


def _schemas_in(module: ModuleType) -> list[Schema]:
    return [value for value in vars(module).values() if isinstance(value, Schema)]
