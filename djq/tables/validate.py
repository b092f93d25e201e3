"""Check rows without writing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from djq.errors import RowError
from djq.tables.accepting import utc_now
from djq.tables.intake import default_chunk, read

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.tables.encode import RowEncoder

#: Errors that a summary lists.
MAX_SHOWN = 10


class RowFault(NamedTuple):
    """What is wrong with one row."""

    #: Counted from 1.
    row: int
    #: None: the row as a whole.
    attribute: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What `validate` found: true if all rows fit."""

    is_valid: bool
    errors: tuple[RowFault, ...] = ()
    rows_checked: int = 0

    def __bool__(self) -> bool:
        """Tell whether all rows fit."""
        return self.is_valid

    def summary(self) -> str:
        """Return the first errors as text, a line each."""
        if self.is_valid:
            return f"all {self.rows_checked} rows fit"
        n = len(self.errors)
        lines = [f"{n} error{'s' if n > 1 else ''} in {self.rows_checked} rows:"]
        lines += [f"  {error.message}" for error in self.errors[:MAX_SHOWN]]
        if n > MAX_SHOWN:
            lines.append(f"  … and {n - MAX_SHOWN} more")
        return "\n".join(lines)

    def raise_if_invalid(self) -> None:
        """Raise what `insert` would have raised.

        Raises
        ------
        RowError
            A row does not fit.
        """
        if not self.is_valid:
            raise RowError(self.summary())


def validate_rows(
    encoder: RowEncoder, rows: Value, *, ignore_extra_fields: bool = False
) -> ValidationResult:
    """Check names, types, ranges and missing values of all rows; nothing is sent or stored.

    Whether a key is taken or a parent row is missing is for the database to say.
    """
    spec, begun = encoder.spec, utc_now()
    found: list[RowFault] = []
    n = 0
    try:
        chunks = read(rows, spec, default_chunk(spec), ignore_extra_fields=ignore_extra_fields)
        for chunk in chunks:
            n += chunk.n
            faults = encoder.examine(chunk, begun)[1]
            found += [RowFault(f.row, f.attribute, f.message) for f in faults]
    except RowError as error:
        found.append(RowFault(n + 1, None, str(error)))
    found.sort(key=lambda fault: fault.row)
    return ValidationResult(not found, tuple(found), n)
