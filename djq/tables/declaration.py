"""One use of the decorator: a class's definition read, its references looked up."""

from __future__ import annotations

import inspect
import sys
from collections import ChainMap
from functools import partial
from typing import TYPE_CHECKING, Any

from djq.codecs import registry as codecs
from djq.definition import spec as specs
from djq.definition.spec import TableName, TableSpec, Words
from djq.errors import DefinitionError
from djq.hints import did_you_mean
from djq.tables.coding import complete
from djq.tables.table import Part, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from djq.tables.schema import Schema


def scope_of(cls: type, context: Mapping[str, Any] | None, *, depth: int) -> Mapping[str, Any]:
    """Return the names that a definition may use: given ones, local ones, those of the module.

    `depth` is how many calls the decorator is away from this one: pipelines may be defined in
    functions.
    """
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame.f_back if frame is not None else None
    local: Mapping[str, Any] = frame.f_locals if frame is not None else {}
    module = sys.modules.get(cls.__module__)
    places = [context or {}, local, vars(module) if module is not None else {}]
    return ChainMap(*(dict(p) if p is context else p for p in places))  # type: ignore[arg-type] # only read


def parts_of(cls: type[Table]) -> list[type[Part]]:
    """Return the part classes that are nested in a class, in order."""
    return [p for p in vars(cls).values() if isinstance(p, type) and issubclass(p, Part)]


def check_class(cls: object) -> None:
    """Refuse to declare what is no table by itself."""
    if not isinstance(cls, type) or not issubclass(cls, Table):
        message = (
            f"{cls!r} is not a table: "
            "derive it from dj.Manual, dj.Lookup, dj.Imported or dj.Computed"
        )
        raise DefinitionError(message)
    if issubclass(cls, Part):
        message = f"{cls.__name__} is a part: nest it in its master's class, which is decorated"
        raise DefinitionError(message)
    if not hasattr(cls, "tier"):
        message = (
            f"{cls.__name__} has no tier: derive it from dj.Manual, dj.Lookup, dj.Imported or "
            "dj.Computed, not from dj.Table"
        )
        raise DefinitionError(message)


class Declaration:
    """A schema and a scope in which references are looked up."""

    def __init__(self, schema: Schema, scope: Mapping[str, Any]) -> None:
        self.schema = schema
        self.scope = scope
        self.known: dict[TableName, TableSpec] = {}

    def read(self, cls: type[Table]) -> list[tuple[type[Table], TableSpec]]:
        """Read the definitions of a class and its parts, all or none."""
        declared: list[tuple[type[Table], TableSpec]] = []
        try:
            spec = self._build(cls)
            declared.append((cls, spec))
            declared += [(p, self._build(p, master=cls, before=spec)) for p in parts_of(cls)]
        except DefinitionError:
            for table, _ in declared:
                del table.spec
            raise
        return declared

    def _build(
        self, cls: type[Table], master: type[Table] | None = None, before: TableSpec | None = None
    ) -> TableSpec:
        """Read one definition; parts see their master and its other parts."""
        local: dict[str, Any] = {}
        if master is not None:
            local = {"master": master, master.__name__: master}
            cls.tier = master.tier
            setattr(cls, "master", master)  # noqa: B010 - of parts, which only have it
        text = getattr(cls, "definition", "")
        if not isinstance(text, str) or not text.strip():
            message = f'{cls.__name__} has no definition: add definition = """ … """ to the class'
            raise DefinitionError(message)
        resolved: dict[str, TableSpec] = {}
        read = partial(
            specs.build,
            schema=self.schema.name,
            class_name=cls.__name__,
            tier=cls.tier,
            master=before,
            hidden=cls.hidden_attributes if master is None else (),
            words=Words(codecs.names(), complete, cls.reserved_names),
        )
        spec = read(text, resolve=self._resolver(local, cls, resolved))
        cls.spec, cls.schema = spec, self.schema
        cls.read_definition = partial(read, resolve=_recall(resolved))
        cls.parent_specs = {name: self.known[name] for name in spec.parents}
        self.known[spec.name] = spec
        return spec

    def _resolver(
        self, local: Mapping[str, Any], cls: type[Table], resolved: dict[str, TableSpec]
    ) -> Callable[[str], TableSpec]:
        def resolve(name: str) -> TableSpec:
            found = self._find(name, local, cls)
            spec = getattr(found, "spec", None)
            if not isinstance(spec, TableSpec):
                message = f'"{name}" is not a declared table'
                raise DefinitionError(message)
            self.known[spec.name] = resolved[name] = spec
            return spec

        return resolve

    def _find(self, name: str, local: Mapping[str, Any], cls: type[Table]) -> object:
        """Return what a reference names, from inside out; never the class itself, half read."""
        first, *rest = name.split(".")
        master: type[Table] | None = local.get("master")
        inside: Mapping[str, Any] = vars(master) if master is not None else {}
        places: list[Mapping[str, Any]] = [local, self.scope, self.schema.tables, inside]
        named: list[object] = [p[first] for p in places if first in p and p[first] is not cls]
        wanted = rest[0] if rest else "spec"
        found: object = next((n for n in named if hasattr(n, wanted)), next(iter(named), None))
        if found is None:
            known = [n for place in places for n in place if _is_table(place[n])]
            hint = did_you_mean(first, known).rstrip()
            message = f'unknown table "{name}"'
            raise DefinitionError(message, *([hint] if hint else []))
        for step in rest:
            if not hasattr(found, step):
                message = f'unknown table "{name}": "{step}" is not in {first}'
                raise DefinitionError(message)
            found = getattr(found, step)
        return found


def _is_table(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Table)


def _recall(resolved: Mapping[str, TableSpec]) -> Callable[[str], TableSpec]:
    """Return what finds the tables that a definition named before, and no others."""

    def resolve(name: str) -> TableSpec:
        if name in resolved:
            return resolved[name]
        message = f'"{name}" was not in the definition before, and alter does not add references'
        raise DefinitionError(message)

    return resolve
