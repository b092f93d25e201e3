"""What an index is made of: attributes, expressions, and paths into JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.definition.attributes import CoreType, can_be_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from djq.definition.attributes import Attribute
    from djq.definition.positions import Position

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_PATH = re.compile(
    r"""(?P<name>[a-z][a-z0-9_]*)(?P<path>(?:\.[A-Za-z_]\w*|\[\d+\])+)
        (?:\s*:\s*(?P<type>[a-z0-9]+(?:\s*\([\d\s,]*\))?))?\Z""",
    re.VERBOSE,
)
#: Types that a value within JSON is read as, and how many arguments each may have.
PATH_TYPES: Mapping[str, tuple[int, int]] = {
    "char": (1, 1),  # without a length it is too long for an index
    "date": (0, 0),
    "datetime": (0, 1),
    "decimal": (0, 2),
    "double": (0, 0),
    "float": (0, 0),
    "signed": (0, 0),
    "time": (0, 1),
    "unsigned": (0, 0),
    "year": (0, 0),
}
_PIECE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^'"]""", re.DOTALL)
#: An identifier in an expression, outside of quotes, that is not the name of a function.
_IDENTIFIER = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?P<quoted>[^`]*)`
        |(?<![\w.])(?P<bare>[A-Za-z_]\w*)(?!\w|\s*\()""",
    re.VERBOSE,
)
#: Words of SQL that are not attributes.
_KEYWORDS = frozenset(
    {
        *("and", "or", "not", "null", "is", "in", "like", "between", "true", "false", "as"),
        *("case", "when", "then", "else", "end", "div", "mod", "xor", "distinct", "interval"),
    }
)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A value within a JSON attribute: `attribute.path[0]:type`."""

    attribute: str
    #: As in `$.path[0]`.
    path: str
    #: One of `PATH_TYPES`, with its arguments; "" for text.
    type: str


def read_path(term: str) -> JsonPath | None:
    """Return a term as a path into JSON; None where it is an attribute or an expression."""
    match = _PATH.match(term)
    if match is None:
        return None
    return JsonPath(match["name"], f"${match['path']}", match["type"] or "")


def is_expression(term: str) -> bool:
    """Tell whether a term is an expression in parentheses."""
    return term.startswith("(")


def attributes_in(term: str) -> Iterator[str]:
    """Iterate over the names that a term reads."""
    path = read_path(term)
    if path is not None:
        yield path.attribute
    elif not is_expression(term):
        yield term
    else:
        for match in _IDENTIFIER.finditer(term):
            name = match["quoted"] or match["bare"]
            if name and name.lower() not in _KEYWORDS:
                yield name


def split_terms(text: str) -> list[str]:
    """Split at the commas outside of parentheses and quotes."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece == "(") - (piece == ")")
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return [p.strip() for p in parts]


def parse_terms(at: Position, text: str, code: str) -> tuple[str, ...]:
    """Read what stands between the parentheses of `index(…)`.

    Raises
    ------
    DefinitionError
        It is neither attributes, nor expressions in parentheses, nor paths.
    """
    found: list[str] = []
    for part in split_terms(text):
        path = read_path(part)
        if _NAME.match(part):
            found.append(part)
        elif path is not None:
            found.append(f"{path.attribute}{path.path[1:]}" + _path_type(at, path, part))
        elif re.fullmatch(r"\(.*\S.*\)", part):
            found.append(f"({part[1:-1].strip()})")
        else:
            at.fail(
                "cannot read this index",
                part or code,
                "Write index(a, b); expressions stand in parentheses of their own, as in "
                "index((lower(a))), and paths into JSON have a type, as in index(a.b:unsigned).",
            )
    if len(set(found)) < len(found):
        again = next(t for t in found if found.count(t) > 1)
        at.fail(f"{again} is in this index twice", again, "Leave one out.")
    return tuple(found)


def _path_type(at: Position, path: JsonPath, part: str) -> str:
    if not path.type:
        return ""
    name, _, inside = path.type.rstrip(") ").partition("(")
    arguments = [a.strip() for a in inside.split(",") if a.strip()]
    least, most = PATH_TYPES.get(name.strip(), (1, 0))
    if not least <= len(arguments) <= most:
        at.fail(
            f'"{path.type}" is not a type of a value within JSON',
            part,
            f"Known: {', '.join(PATH_TYPES)}.",
        )
    return f":{name.strip()}" + (f"({','.join(arguments)})" if arguments else "")


def check_terms(at: Position, terms: tuple[str, ...], known: Mapping[str, Attribute]) -> None:
    """Refuse terms over attributes that are not there, or that cannot be indexed.

    Raises
    ------
    DefinitionError
        The message names the attribute, and those that are known.
    """
    for term in terms:
        for name in attributes_in(term):
            if name not in known:
                advice = f"Declare it above the index. Known: {', '.join(known)}."
                at.fail(f'unknown attribute "{name}"', name, advice)
        path = read_path(term)
        if path is not None and not _is_json(known[path.attribute]):
            type_ = known[path.attribute].type
            at.fail(f'"{path.attribute}" is {type_}, not json: it has no paths', path.attribute)
        if term in known and _is_json(known[term]):
            at.fail(
                f'"{term}" is json, which is not indexed as a whole',
                term,
                f"Name a value within it, as in index({term}.path:char(20)).",
            )
        type_ = known[term].type if term in known else None
        if type_ is not None and not can_be_key(type_):
            at.fail(f'"{term}" is {type_}, which is not indexed', term, "Leave it out.")


def _is_json(attribute: Attribute) -> bool:
    return isinstance(attribute.type, CoreType) and attribute.type.name == "json"
