"""Text → sqlglot's tree of one expression in MySQL's dialect, and nothing beside it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.parsers.mysql import MySQLParser
from sqlglot.tokenizer_core import Token, TokenType

from djq.errors import QueryError
from djq.sql.naming import SUBQUERY, named
from djq.sql.refusing import TOO_DEEP, Text, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot.expressions.core import Expression as Parsed

#: Longer text is refused before it is parsed [characters].
MAX_LENGTH = 100_000
#: More opening parentheses and operators in a row are refused before they are parsed.
MAX_OPEN = 100
#: Parsed where an expression belongs, so that a statement is not one.
_BEFORE, _AFTER = "SELECT 1 WHERE (", "\n)"
#: Functions with words of their own between their arguments.
_WORDY = frozenset(
    {
        *("CAST", "CONVERT", "EXTRACT", "GROUP_CONCAT", "JSON_VALUE", "POSITION", "SUBSTR"),
        *("SUBSTRING", "TRIM"),
    }
)
_OPENING = frozenset(
    {TokenType.L_PAREN, TokenType.NOT, TokenType.DASH, TokenType.TILDE, TokenType.PLUS}
)
_NO_COMMENTS = "comments (--, #, /* */) are not allowed"
_NO_EXPRESSION = "it is not one expression"
_SKIPPED = re.compile(r"[ \t\r\n\f\v]*\Z")


_ALL_PARSERS: Any = getattr(MySQLParser, "FUNCTION_PARSERS")  # noqa: B009 - untyped


class _Parser(MySQLParser):
    """MySQL's grammar, with functions left as they are written."""

    FUNCTIONS: ClassVar[Any] = {}
    #: `x -> y` is a path into JSON.
    LAMBDAS: ClassVar[Any] = {}
    FUNCTION_PARSERS: ClassVar[Any] = {name: _ALL_PARSERS[name] for name in sorted(_WORDY)}

    def raise_error(self, message: str, token: Any = None) -> NoReturn:  # noqa: ANN401
        """Raise an error that knows its place; some of these are caught by the parser itself."""
        found = token or self._curr or self._prev
        raise _UnexpectedError(message, found)


class _UnexpectedError(ParseError):
    """A word that cannot stand where it does."""

    def __init__(self, message: str, token: Token | None) -> None:
        super().__init__(message)
        self.token = token


class ConditionText(MySQL):
    """The dialect of conditions."""

    Parser = _Parser

    def to_json_path(self, path: Any) -> Any:  # noqa: ANN401 - sqlglot's own
        """Leave a path as it is written."""
        return path


@lru_cache(maxsize=1024)
def parse(text: str, names: frozenset[str]) -> Parsed:
    """Return the tree of the one expression that a text is; `names` are those of attributes.

    Raises
    ------
    QueryError
        It is none, or holds more: a comment, a second statement, a subquery, a variable.
    """
    at = Text(text)
    if len(text) > MAX_LENGTH:
        at.refuse_whole(f"has {len(text)} characters, {MAX_LENGTH} are allowed")
    if not text.strip():
        at.refuse_whole("is empty: leave it out, or write True")
    try:
        text.encode()
        tokens = named(text, _tokens(at), names)
        check_tokens(at, tokens)
        whole = _wrapped(tokens, text)
        statements = ConditionText().parser().parse(whole, f"{_BEFORE}{text}{_AFTER}")
    except QueryError:
        raise
    except UnicodeEncodeError as error:
        at.refuse_unread("this is half of a character", error.start)
    except RecursionError:
        at.refuse(TOO_DEEP)
    except _UnexpectedError as error:
        _refuse_token(at, error.token)
    except (SqlglotError, ValueError, TypeError, AttributeError, IndexError):
        # What sqlglot stumbles over has no place; its sentences are about its own classes.
        at.refuse_unread(_NO_EXPRESSION)
    return _only_expression(at, statements)


def _refuse_token(at: Text, token: Token | None) -> NoReturn:
    """Refuse the word at which the parser gave up, or the end of the text."""
    start = token.start - len(_BEFORE) if token is not None else len(at.text)
    if not token or start >= len(at.text):
        at.refuse_unread("the text ends where more is expected", len(at.text.rstrip()))
    word = at.text[start : token.end + 1 - len(_BEFORE)]
    at.refuse_unread(f"{shown(word)} is not expected here", start, len(word))


def _only_expression(at: Text, statements: Sequence[object]) -> Parsed:
    statement = statements[0] if len(statements) == 1 else None
    where = statement.args.get("where") if isinstance(statement, exp.Select) else None
    inner = where.this if isinstance(where, exp.Where) else None
    extra = (
        [k for k, v in statement.args.items() if v and k not in {"where", "expressions"}]
        if isinstance(statement, exp.Select)
        else ["statement"]
    )
    if isinstance(inner, exp.Tuple):
        at.refuse_unread("values with commas are no expression")
    if not isinstance(inner, exp.Paren) or extra:
        at.refuse_unread(_NO_EXPRESSION)
    return cast("Parsed", inner.this)


def _tokens(at: Text) -> list[Token]:
    """Return the tokens, without those around the text: first in a text some words are commands."""
    text = at.text
    try:
        found = ConditionText().tokenize(_BEFORE + text + _AFTER)
    except TokenError:
        found = []
    if not found or found[-1].start != len(_BEFORE) + len(text) + len(_AFTER) - 1:
        _refuse_open(at)
    moved = (_moved(token, -len(_BEFORE)) for token in found)
    return [token for token in moved if 0 <= token.start < len(text)]


#: Texts and names in quotes, each as a whole; then what stands where a quote or comment begins.
_QUOTED = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|(?P<quote>['"`])|(?P<comment>/\*|--|\#)""",
    re.DOTALL,
)


def _refuse_open(at: Text) -> NoReturn:
    """Refuse a text in which quotes or comments do not end."""
    for match in _QUOTED.finditer(at.text):
        if match["quote"]:
            at.refuse_unread("this quote is not closed", match.start())
        if match["comment"]:
            at.refuse(_NO_COMMENTS, match.start())
    at.refuse_unread(_NO_EXPRESSION)


def check_tokens(at: Text, tokens: Sequence[Token]) -> None:
    """Refuse by name what is not part of an expression."""
    end, in_a_row = 0, 0
    opened: list[int] = []
    for i, token in enumerate(tokens):
        _check_gap(at, end, token.start)
        end = token.end + 1
        in_a_row = in_a_row + 1 if token.token_type in _OPENING else 0
        if token.token_type is TokenType.L_PAREN:
            opened.append(token.start)
        if in_a_row > MAX_OPEN or len(opened) > MAX_OPEN:
            at.refuse(TOO_DEEP)
        reason = _refused(token, tokens[i + 1] if i + 1 < len(tokens) else None)
        if reason:
            at.refuse(reason, token.start, len(token.text))
        if token.token_type is TokenType.R_PAREN:
            if not opened:
                at.refuse_unread("this parenthesis closes nothing", token.start)
            opened.pop()
    _check_gap(at, end, len(at.text))
    if opened:
        at.refuse_unread("this parenthesis is not closed", opened[-1])


def _check_gap(at: Text, start: int, end: int) -> None:
    """Refuse what sqlglot left out between two tokens: a comment."""
    gap = at.text[start:end]
    if not _SKIPPED.match(gap):
        place = start + len(gap) - len(gap.lstrip())
        reason = _NO_COMMENTS
        if not gap.strip().startswith(("-", "#", "/")):
            reason = f"{gap.strip()[:1]!r} is not allowed here"
        at.refuse(reason, place)


#: Marks of other languages, and what to say of them.
_REFUSED = {
    "==": "'==' is Python's; write '='",
    ";": "it is one expression: ';' and further statements are not allowed",
}


def _refused(token: Token, following: Token | None) -> str | None:
    """Return why a token is no part of an expression; None if it may be."""
    kind, word = token.token_type, token.text.lower()
    is_word = kind not in {TokenType.STRING, TokenType.IDENTIFIER}
    if is_word and word in _REFUSED:
        return _REFUSED[word]
    if is_word and word in SUBQUERY and _opens_query(word, following):
        return "subqueries are not allowed; restrict by a table or query instead"
    if kind in {TokenType.PARAMETER, TokenType.SESSION_PARAMETER}:
        return "variables (@name, @@name) are not allowed; write the value"
    if kind is TokenType.PLACEHOLDER or (kind is TokenType.COLON and is_word):
        return "placeholders (?, :name) are not allowed; write the value, or restrict by a mapping"
    if kind in {
        TokenType.DCOLON,
        TokenType.COLON_EQ,
        TokenType.HINT,
        TokenType.L_BRACE,
        TokenType.R_BRACE,
    }:
        return f"{token.text!r} is not allowed"
    return None


def _opens_query(word: str, following: Token | None) -> bool:
    """Tell whether a word begins a query, and is not the name of an attribute."""
    if word in {"values", "table", "with", "except", "intersect", "union"}:
        return following is not None and following.token_type in {
            TokenType.VAR,
            TokenType.IDENTIFIER,
            TokenType.L_PAREN,
            TokenType.SELECT,
            TokenType.ALL,
            TokenType.DISTINCT,
        }
    return word == "select" or (following is not None and following.token_type is TokenType.L_PAREN)


def _wrapped(tokens: Sequence[Token], text: str) -> list[Token]:
    """Return the tokens of a whole statement, their places counted from its beginning."""
    before = ConditionText().tokenize(_BEFORE)
    after = ConditionText().tokenize(_AFTER)
    shift = len(_BEFORE)
    inner = [_moved(t, shift) for t in tokens]
    return [*before, *inner, *(_moved(t, shift + len(text)) for t in after)]


def _moved(token: Token, by: int) -> Token:
    start, end = token.start + by, token.end + by
    return Token(token.token_type, token.text, token.line, token.col, start, end, token.comments)


def place_of(node: Parsed) -> tuple[int, int] | None:
    """Return where a name stands in the text, and its length; None where sqlglot lost it."""
    for part in (node, *node.find_all(exp.Identifier)):
        start, end = part.meta.get("start"), part.meta.get("end")
        if isinstance(start, int) and isinstance(end, int):
            return start - len(_BEFORE), end - start + 1
    return None


def sql_of(node: Parsed) -> str:
    """Return a part of the text in MySQL's words, for messages."""
    try:
        found = repr(node.sql(dialect="mysql"))
    except Exception:  # noqa: BLE001 - sqlglot cannot write all that it reads
        return "a part of it"
    return found if len(found) < 200 else f"{found[:200]}…"  # noqa: PLR2004
