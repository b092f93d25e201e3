"""What a verb is about: modules and tables named on the command line → tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.errors import ConfigError
from djq.hints import did_you_mean
from djq.populate import levels
from djq.populate.pipeline import Pipeline, load_pipeline
from djq.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.populate.autopopulate import AutoPopulate


@dataclass(frozen=True, slots=True)
class Selection:
    """Some tables of a pipeline, in the order in which they are computed."""

    settings: Settings
    pipeline: Pipeline
    tables: tuple[type[AutoPopulate], ...]


def split(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which names are modules and which tables: a table's last part is capitalised."""
    tables = tuple(name for name in names if name.rpartition(".")[2][:1].isupper())
    return tuple(name for name in names if name not in tables), tables


def read_settings(modules: Sequence[str]) -> Settings:
    """Return the settings; modules given on the command line replace the pipeline in them.

    Raises
    ------
    ConfigError
        A setting is wrong, or there is no module at all.
    """
    settings = load(pipeline=tuple(modules)) if modules else load()
    if not settings.pipeline:
        message = (
            "no pipeline: name the modules that define the tables, as in "
            '"djq worker mylab.pipeline", or set DJQ_PIPELINE=mylab.pipeline'
        )
        raise ConfigError(message)
    return settings


def select(names: Sequence[str]) -> Selection:
    """Load the pipeline and return the tables that are named; all if none is.

    Raises
    ------
    ConfigError
        A module cannot be loaded, or a table is in none of them.
    """
    modules, wanted = split(names)
    settings = read_settings(modules)
    pipeline = load_pipeline(settings.pipeline)
    chosen = {_find(pipeline, name) for name in wanted} or set(pipeline.tables.values())
    ordered = [t for level in levels.levels(pipeline.tables.values()) for t in level]
    return Selection(settings, pipeline, tuple(t for t in ordered if t in chosen))


def _find(pipeline: Pipeline, name: str) -> type[AutoPopulate]:
    """Return the table `schema.Class` or, where that is clear, `Class`."""
    found = [
        table
        for display_name, table in pipeline.tables.items()
        if name in {display_name, display_name.partition(".")[2]}
    ]
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(table.spec.display_name for table in found)
        message = f'"{name}" is in several schemas; write one of {choices}'
        raise ConfigError(message)
    known = [*pipeline.tables, *(n.partition(".")[2] for n in pipeline.tables)]
    message = (
        f'no table of the pipeline that is imported or computed is called "{name}". '
        f"{did_you_mean(name, known)}Known: {', '.join(pipeline.tables)}"
    )
    raise ConfigError(message)
