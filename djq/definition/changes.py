"""Two specs of one table, the database's and the definition's → what changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from djq.definition.attributes import Attribute, Special
from djq.definition.conversions import Conversion, conversion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from djq.definition.acceptance import Value
    from djq.definition.constraints import ForeignKey, Index
    from djq.definition.spec import TableSpec

#: At the beginning of a comment: the attribute is the one that was called so. Not stored.
_RENAME = re.compile(r"\{\s*(?P<old>[a-z][a-z0-9_]*)\s*\}\s*(?P<comment>.*)", re.DOTALL)

_MOVE_DATA = (
    "alter does not do this: declare a table under another name, insert this one's rows into it, "
    "and drop this one"
)


@dataclass(frozen=True, slots=True)
class Modification:
    """One attribute as it is in the database, and as the definition wants it."""

    old: Attribute
    new: Attribute

    @property
    def conversion(self) -> Conversion:
        """What becomes of its values."""
        return conversion(self.old.type, self.new.type)

    @property
    def needs_values(self) -> bool:
        """Whether NULLs may be there that are not allowed any longer."""
        return self.old.nullable and not self.new.nullable

    @property
    def is_essential(self) -> bool:
        """Whether rows of the one do not fit the other."""
        old, new = self.old, self.new
        return (old.name, old.type, old.nullable) != (new.name, new.type, new.nullable)

    def __str__(self) -> str:
        """Return a sentence."""
        old, new = self.old, self.new
        found = [f"{old.name} is now called {new.name}"] if old.name != new.name else []
        if old.type != new.type:
            found.append(f"{new.name} is {old.type} there and {new.type} here")
        if old.nullable != new.nullable:
            found.append(f"{new.name} can {'' if old.nullable else 'not '}be null there")
        elif not same_default(old, new):
            found.append(
                f"the default of {new.name} is {_default(old)} there, {_default(new)} here"
            )
        if old.is_auto != new.is_auto:
            found.append(f"{new.name} is {'' if old.is_auto else 'not '}auto_increment there")
        if old.comment != new.comment:
            found.append(f'the comment of {new.name} is "{old.comment}" there')
        return ", ".join(found)


@dataclass(frozen=True, slots=True)
class Changes:
    """What leads from the table in the database to the one of the definition."""

    #: What alter does not do, each with what to do instead.
    refused: tuple[str, ...] = ()
    added: tuple[Attribute, ...] = ()
    dropped: tuple[Attribute, ...] = ()
    modified: tuple[Modification, ...] = ()
    #: The table's new comment; None: as it was.
    comment: str | None = None
    new_indexes: tuple[Index, ...] = ()
    old_indexes: tuple[Index, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything changed."""
        return any(getattr(self, name) not in {(), None} for name in self.__slots__)

    @property
    def essential(self) -> tuple[str, ...]:
        """What keeps rows of the definition from going into the table, in sentences."""
        return (
            *self.refused,
            *(f"{a.name} is missing there" for a in self.added),
            *(f"{a.name} is only there" for a in self.dropped),
            *(str(m) for m in self.modified if m.is_essential),
        )


def compare(old: TableSpec, new: TableSpec) -> Changes:
    """Return what changed between the table in the database, `old`, and its definition, `new`.

    The order of attributes does not count, nor hidden columns that only the database has: another
    program keeps them.
    """
    renames, refused = _renames(old, new)
    before = {a.name: a for a in (*old.heading, *old.hidden)}
    after = {a.name: _stored(a, before, renames) for a in (*new.heading, *new.hidden)}
    sources = {name: renames.get(name, name) for name in after}
    kept = [Modification(before[s], after[n]) for n, s in sources.items() if s in before]
    modified = tuple(m for m in kept if _differs(m))
    added = tuple(after[n] for n, s in sources.items() if s not in before)
    known = set(sources.values())
    dropped = tuple(a for a in old.heading if a.name not in known)
    refused += _key_refusals(old, added, dropped, modified, new.is_singleton)
    refused += _reference_refusals(old, new, modified)
    back = {s: n for n, s in renames.items()}
    new_indexes, old_indexes = _indexes(old, new, back)
    return Changes(
        refused=tuple(dict.fromkeys(refused)),
        added=added,
        dropped=dropped,
        modified=modified,
        comment=new.comment if new.comment != old.comment else None,
        new_indexes=new_indexes,
        old_indexes=old_indexes,
    )


def stored_spec(old: TableSpec, new: TableSpec) -> TableSpec:
    """Return `new` as the database will have it: without the marks of renames."""
    renames, _ = _renames(old, new)
    before = {a.name: a for a in old.heading}
    heading = replace(
        new.heading, attributes=tuple(_stored(a, before, renames) for a in new.heading)
    )
    return replace(new, heading=heading)


def same_default(old: Attribute, new: Attribute) -> bool:
    """Tell whether two attributes have the same default, however it is written."""
    return _plain(old.default) == _plain(new.default) or (
        # Nullable without a default is null by default.
        old.nullable
        and new.nullable
        and {_plain(old.default), _plain(new.default)} <= {None, Special.REQUIRED}
    )


def _plain(default: Value) -> Value:
    return default if isinstance(default, Special) or default is None else str(default)


def _default(attribute: Attribute) -> str:
    if isinstance(attribute.default, Special):
        return "none" if attribute.default is Special.REQUIRED else attribute.default.value
    return repr(attribute.default)


def _differs(modification: Modification) -> bool:
    old, new = modification.old, modification.new
    return (
        modification.is_essential
        or not same_default(old, new)
        or (old.comment, old.is_auto, old.in_key) != (new.comment, new.is_auto, new.in_key)
    )


def _renames(old: TableSpec, new: TableSpec) -> tuple[dict[str, str], list[str]]:
    """Return new names → old names, and what is wrong with the marks."""
    found: dict[str, str] = {}
    refused: list[str] = []
    for attribute in new.heading:
        match = _RENAME.match(attribute.comment)
        if match is None or attribute.name in old.heading:
            continue
        source = match["old"]
        if source not in old.heading:
            refused.append(
                f'{attribute.name} would be the renamed "{source}", which the table does not have. '
                f"{old.heading.suggest(source)}"
            )
        elif source in new.heading or source in found.values():
            refused.append(
                f'{attribute.name} would be the renamed "{source}", which is still in the '
                "definition: remove one of them"
            )
        else:
            found[attribute.name] = source
    return found, refused


def _stored(
    attribute: Attribute, before: Mapping[str, Attribute], renames: Mapping[str, str]
) -> Attribute:
    """Return the attribute as the database keeps it: a rename's mark is for this once."""
    match = _RENAME.match(attribute.comment)
    present = before.get(attribute.name)
    is_done = present is not None and present.comment != attribute.comment
    if match is not None and (is_done or attribute.name in renames):
        return replace(attribute, comment=match["comment"])
    return attribute


def _key_refusals(
    old: TableSpec,
    added: tuple[Attribute, ...],
    dropped: tuple[Attribute, ...],
    modified: tuple[Modification, ...],
    is_singleton: bool,
) -> list[str]:
    changed = [f"{a.name} is in the key here only" for a in added if a.in_key]
    changed += [f"{a.name} is in the key there only" for a in dropped if a.in_key]
    for modification in modified:
        before, after = modification.old, modification.new
        if before.in_key != after.in_key:
            changed.append(f"{after.name} is {'' if before.in_key else 'not '}in the key there")
        elif after.in_key and not _is_comment_only(modification):
            changed.append(str(replace_comment(modification)))
    if old.is_singleton != is_singleton and not changed:
        changed.append("the table has one row at most on one side only")
    return [f"the primary key changes ({'; '.join(changed)}): {_MOVE_DATA}"] if changed else []


def _is_comment_only(modification: Modification) -> bool:
    return not _differs(replace_comment(modification))


def replace_comment(modification: Modification) -> Modification:
    """Return the modification without the change of the comment."""
    new = replace(modification.new, comment=modification.old.comment)
    return Modification(modification.old, new)


def _reference_refusals(
    old: TableSpec, new: TableSpec, modified: tuple[Modification, ...]
) -> list[str]:
    before, after = set(_references(old)), set(_references(new))
    changed = [f"{_reference(r)} is only there" for r in _references(old) if r not in after]
    changed += [f"{_reference(r)} is only here" for r in _references(new) if r not in before]
    if changed:
        return [f"the references change ({'; '.join(changed)}): {_MOVE_DATA}"]
    referring = {n for f in new.foreign_keys for n in f.names}
    found = [m for m in modified if m.new.name in referring and not m.new.in_key]
    return [
        f"{m.new.name} refers to another table ({replace_comment(m)}): {_MOVE_DATA}"
        for m in found
        if replace_comment(m).is_essential
    ]


def _references(spec: TableSpec) -> Iterator[tuple[str, frozenset[tuple[str, str]]]]:
    key: ForeignKey
    for key in spec.foreign_keys:
        yield str(key.parent), frozenset(key.columns)


def _reference(reference: tuple[str, frozenset[tuple[str, str]]]) -> str:
    parent, columns = reference
    return f"{', '.join(sorted(mine for mine, _ in columns))} → {parent}"


def _indexes(
    old: TableSpec, new: TableSpec, renamed: Mapping[str, str]
) -> tuple[tuple[Index, ...], tuple[Index, ...]]:
    """Return the indexes to make and to drop; those of renamed attributes follow by themselves."""
    before = {replace(i, terms=tuple(renamed.get(t, t) for t in i.terms)): i for i in old.indexes}
    after = dict.fromkeys(new.indexes)
    return (
        tuple(i for i in after if i not in before),
        tuple(i for seen, i in before.items() if seen not in after),
    )
