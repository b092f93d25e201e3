"""Which words of a text are names of attributes, or of values within JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import Token, TokenType

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Words that begin a query within a query.
SUBQUERY = frozenset(
    {"select", "with", "union", "intersect", "except", "exists", "values", "table"}
)
#: Words that are never names of attributes here, unless in backticks.
_SYNTAX = frozenset(
    {
        *("and", "as", "between", "binary", "by", "case", "collate", "desc", "asc", "distinct"),
        *("div", "else", "end", "escape", "false", "from", "in", "interval", "is", "like", "mod"),
        *("not", "null", "or", "order", "over", "regexp", "rlike", "separator", "sounds", "then"),
        *("true", "using", "when", "where", "xor", *SUBQUERY),
    }
)
_WORD = re.compile(r"[A-Za-z_]\w*\Z")
#: Behind these a word is no name: `INTERVAL 1 year`, `x AS date`.
_OPERANDS = frozenset(
    {TokenType.NUMBER, TokenType.STRING, TokenType.VAR, TokenType.IDENTIFIER, TokenType.R_PAREN}
)
_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER})


def named(text: str, tokens: Sequence[Token], names: frozenset[str]) -> list[Token]:
    """Return the tokens, with each attribute's name, and each path into JSON, as one."""
    found: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if not _is_name(tokens, i, found, names):
            found.append(token)
            i += 1
            continue
        end = _path_end(tokens, i)
        if end == i:
            found.append(_as_name(token, token.text, token.end))
        else:
            path = text[token.start : tokens[end].end + 1]
            name = token.text + path[token.end + 1 - token.start :]
            found.append(_as_name(token, name, tokens[end].end))
        i = end + 1
    return found


def _is_name(
    tokens: Sequence[Token], i: int, before: Sequence[Token], names: frozenset[str]
) -> bool:
    token = tokens[i]
    if token.text not in names or token.token_type is TokenType.STRING:
        return False
    if token.token_type is TokenType.IDENTIFIER:
        return True
    following = tokens[i + 1].token_type if i + 1 < len(tokens) else None
    is_call = following in {TokenType.L_PAREN, TokenType.STRING}  # or DATE '2024-01-01'
    if is_call or token.text.lower() in _SYNTAX or not _WORD.match(token.text):
        return False
    return not before or _may_precede(before)


def _may_precede(before: Sequence[Token]) -> bool:
    """Tell whether a name may stand behind these tokens."""
    last = before[-1]
    if last.token_type in _OPERANDS or last.token_type in {TokenType.DOT, TokenType.ALIAS}:
        return False
    opener = before[-2].text.lower() if len(before) > 1 else ""
    return not (last.text == "(" and opener in {"extract", "timestampdiff", "timestampadd"})


def _path_end(tokens: Sequence[Token], i: int) -> int:
    """Return the index of the last token of a path that begins at `i`."""
    kinds = [t.token_type for t in tokens[i : i + 64]]
    n = 1
    while n < len(kinds):
        if kinds[n] is TokenType.DOT and n + 1 < len(kinds) and _is_key(tokens[i + n + 1]):
            n += 2
        elif kinds[n] is TokenType.L_BRACKET and kinds[n + 1 : n + 3] == [
            TokenType.NUMBER,
            TokenType.R_BRACKET,
        ]:
            n += 3
        else:
            break
    if n < len(kinds) and kinds[n] is TokenType.COLON:
        n += _type_length(tokens[i + n : i + n + 7])
    return i + n - 1


def _is_key(token: Token) -> bool:
    return bool(_WORD.match(token.text)) or token.text.startswith("$")


def _type_length(tokens: Sequence[Token]) -> int:
    """Return how many tokens a colon and the type behind it are; 0 if there is no type."""
    if len(tokens) < 2 or not _WORD.match(tokens[1].text):  # noqa: PLR2004
        return 0
    words = [t.text for t in tokens]
    if words[2:3] != ["("]:
        return 2
    return words.index(")") + 1 if ")" in words else 2


def _as_name(token: Token, text: str, end: int) -> Token:
    return Token(
        TokenType.IDENTIFIER, text, line=token.line, col=token.col, start=token.start, end=end
    )
