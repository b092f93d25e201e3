"""Rows that are larger than what a server takes at once: it would end the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.errors import RowError
from djq.sql.bulk import MAX_STATEMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec
    from djq.sql.sessions import Session

#: Values that may be long.
_TEXTS = (str, bytes)


def is_large(values: Iterable[Value]) -> bool:
    """Tell whether a row with these values, as the driver gets them, makes a long statement."""
    return sum([len(v) for v in values if isinstance(v, _TEXTS)]) > MAX_STATEMENT


def check_packet(
    session: Session, spec: TableSpec, columns: Mapping[str, Sequence[Value]], size: int
) -> None:
    """Refuse rows of which one makes a statement of `size` bytes, if the server takes fewer.

    Raises
    ------
    RowError
        It is too large; nothing was sent.
    """
    if size <= MAX_STATEMENT:
        return
    limit = int(session.rows("SELECT @@max_allowed_packet", ())[0][0])
    if size < limit:
        return
    sizes = {name: max(map(_size, column), default=0) for name, column in columns.items()}
    name = max(sizes, key=sizes.__getitem__)
    message = (
        f'{spec.display_name}: "{name}" is too large for the server: its largest value has '
        f"{sizes[name]:,} bytes, its row as a statement {size:,}, and the server takes {limit:,} "
        "(max_allowed_packet). Keep it in a store, as in <blob@store> or <attach@store>, or let "
        "the server take more"
    )
    raise RowError(message)


def _size(value: Value) -> int:
    return len(value if isinstance(value, _TEXTS) else str(value))
