"""Restrictions of keys as they are given, and those that say nothing: refused, or told of."""

from __future__ import annotations

import inspect
import traceback
import warnings
from typing import TYPE_CHECKING, cast

from djq.algebra.conditions import materialized
from djq.algebra.forms import AndList
from djq.errors import QueryError, RestrictionWarning, UsageError
from djq.hints import did_you_mean
from djq.populate import plan
from djq.populate.failures import is_of_users
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate


def listed(restrictions: object) -> list[Value]:
    """Return restrictions as a list that can be read twice; a single one is taken as such."""
    if isinstance(restrictions, list | tuple) and not isinstance(restrictions, AndList):
        return [materialized(r) for r in cast("Sequence[Value]", restrictions)]
    return [materialized(restrictions)]


def check_keys(table: type[AutoPopulate], restrictions: Sequence[Value]) -> None:
    """Refuse restrictions that say nothing of a table's keys: they would leave all of them.

    Raises
    ------
    QueryError
        One has no attribute of the table's key source, or cannot be read.
    """
    if not restrictions:
        return
    name = table.spec.display_name
    source = plan.wide_source(table)
    try:
        unheeded = source.restrict(*restrictions).unheeded[len(source.unheeded) :]
    except QueryError as error:
        message = f"{name}: {error}"
        raise QueryError(message) from error
    if unheeded:
        key = table.job_heading.primary_key
        message = (
            f"{name} has no {', '.join(unheeded)} in its key: leave the table out, "
            f"or restrict by its key ({', '.join(key)}). {_did_you_mean(unheeded, key)}"
        )
        raise QueryError(message.rstrip())


def warn_unheeded(table: type[AutoPopulate], restrictions: Sequence[Value]) -> None:
    """Tell of restrictions that leave all keys.

    They are not refused: pipelines restrict all of their tables by one key, as DataJoint lets them.
    """
    if not restrictions:
        return
    source = plan.wide_source(table)
    unheeded = source.restrict(*restrictions).unheeded[len(source.unheeded) :]
    if unheeded:
        known = source.heading.names
        message = (
            f"{table.spec.display_name}.populate is restricted by {', '.join(unheeded)}, and its "
            "keys have none of these attributes: all that are due are made. "
            f"{_did_you_mean(unheeded, known)}Known: {', '.join(known)}"
        )
        warnings.warn(message, RestrictionWarning, stacklevel=_level_of_users())


def _level_of_users() -> int:
    """Return how far above our caller the innermost code of users is, as warnings count."""
    frames = traceback.walk_stack(inspect.currentframe())
    levels = (level for level, (frame, _) in enumerate(frames) if is_of_users(frame))
    return next(levels, 1)


def check_heeded(restricted: Query, name: str, consequence: str) -> None:
    """Refuse to take a misspelled restriction of a query for none.

    Raises
    ------
    QueryError
        One has no attribute of the query.
    """
    if not restricted.unheeded:
        return
    known = restricted.heading.names
    message = (
        f"{name} is restricted by {', '.join(restricted.unheeded)}, and the table has none of "
        f"these attributes: {consequence}. {_did_you_mean(restricted.unheeded, known)}"
        f"Known: {', '.join(known)}"
    )
    raise QueryError(message)


def _did_you_mean(names: Sequence[str], known: Sequence[str]) -> str:
    """Return the words that help somebody who wrote unknown names; none if none is near."""
    return next(filter(None, (did_you_mean(name, known) for name in names)), "")


def no_table(thing: object, verb: str) -> UsageError:
    """Return the error for what is neither a table with a make nor a schema of such."""
    message = f"cannot {verb} {spoken(thing)}: name Computed or Imported tables, or schemas"
    return UsageError(message)


def spoken(thing: object) -> str:
    """Return what to call something that is none of the expected: a query not by its rows."""
    if isinstance(thing, Query):
        return f"an instance of {type(thing).__name__} (classes are named, without parentheses)"
    return repr(thing)
