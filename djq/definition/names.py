"""Names on the server → tier, class and master: the way back from `table_name`."""

from __future__ import annotations

from dataclasses import dataclass

from djq.definition.spec import TableName, Tier

#: Tables that belong to the machinery: lineage, comments, job records.
HIDDEN_PREFIX = "~"
#: Columns that djq and DataJoint fill in themselves, and queries do not show.
HIDDEN_COLUMN = "_"
PART_SEPARATOR = "__"

#: The longer prefix first.
_PREFIXES = (Tier.JOB, Tier.COMPUTED, Tier.IMPORTED, Tier.LOOKUP)


@dataclass(frozen=True, slots=True)
class Described:
    """What a name on the server says."""

    tier: Tier
    #: In CamelCase; parts as `Master.Part`.
    class_name: str
    #: The name of the master's table, None where the table is no part.
    master: str | None


def is_hidden(table: str) -> bool:
    """Tell whether a table is left out of listings and of the graph: `~lineage`, `~~detection`."""
    return table.startswith(HIDDEN_PREFIX)


def camel_case(snake: str) -> str:
    """Return `spike_sorting` as `SpikeSorting`."""
    return "".join(word[:1].upper() + word[1:] for word in snake.split("_"))


def describe_name(table: str) -> Described:
    """Return what the name of a table says: `__spikes__unit` is the part Unit of Spikes."""
    tier = next((t for t in _PREFIXES if table.startswith(t.value)), Tier.MANUAL)
    base = table.removeprefix(tier.value)
    first, separator, rest = base.partition(PART_SEPARATOR)
    if tier is Tier.JOB:
        owner = ".".join(camel_case(b) for b in base.split(PART_SEPARATOR))
        return Described(tier, f"{owner}.jobs", None)
    if not separator or not first or not rest:
        return Described(tier, camel_case(base), None)
    class_name = f"{camel_case(first)}.{camel_case(rest)}"
    return Described(tier, class_name, f"{tier.value}{first}")


def quoted(name: TableName) -> str:
    """Return a name as DataJoint writes it: schema and table in backquotes, with a dot."""
    return f"`{name.schema}`.`{name.table}`"
