"""Names that a database takes for words of its own, though SQLAlchemy does not know it yet."""

from __future__ import annotations

from typing import Any

#: Reserved in MySQL 9 (library, manual, parallel, qualify, tablesample), or read as something else
#: where SQLite expects a name. Quotes around one too many do no harm.
WORDS = frozenset(
    {
        "library",
        "manual",
        "nothing",
        "parallel",
        "qualify",
        "returning",
        "tablesample",
        "window",
    }
)


def quote_more(dialect: Any) -> None:  # noqa: ANN401 - SQLAlchemy's has no type for what is set
    """Let a dialect write such names in quotes; once more when it knows the server's version.

    `_utf8` is one, too: MySQL and MariaDB would read it as the character set of a text.
    """
    preparer = dialect.identifier_preparer
    if preparer.reserved_words >= WORDS:
        return
    preparer.reserved_words = {*preparer.reserved_words, *WORDS}
    if dialect.name != "sqlite":
        preparer.illegal_initial_characters = {*preparer.illegal_initial_characters, "_"}
