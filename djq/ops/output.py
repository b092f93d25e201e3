"""Text for people, JSON for programs."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

import click

from djq.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def show_json(value: object) -> None:
    """Write one JSON document."""
    click.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def show_grid(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write aligned columns: the first to the left, numbers to the right."""
    lines = list(rows)
    cells = [[_cell(value) for value in line] for line in lines]
    is_number = [
        all(isinstance(line[i], int | float | None) for line in lines) for i in range(len(header))
    ]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for line in (header, *cells):
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ]
        click.echo("  ".join(aligned).rstrip())


def show_key(key: Mapping[str, Any]) -> str:
    """Return a key as people write it: `subject=12 session=3`."""
    return " ".join(f"{name}={value}" for name, value in key.items())


def confirm(question: str, *, is_agreed: bool) -> bool:
    """Ask before something is changed; `is_agreed` (`--yes`) answers for the user.

    Raises
    ------
    ConfigError
        Nobody can answer.
    """
    if is_agreed:
        return True
    if not sys.stdin.isatty():
        message = f"{question} Nobody can answer here: add --yes"
        raise ConfigError(message)
    return click.confirm(question)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,}" if is_number else str(value)


def _plain(value: object) -> object:
    match value:
        case dt.date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case _:
            message = f"{type(value).__name__} has no JSON form"
            raise TypeError(message)
