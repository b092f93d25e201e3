"""`TableSpec` → definition text; reading it again gives the same spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.definition.constraints import ForeignKey, Index, TableName
from djq.definition.defaults import default_text

if TYPE_CHECKING:
    from djq.definition.attributes import Attribute
    from djq.definition.spec import TableSpec

#: Width of what stands left of the colon, and of the type behind it [characters].
NAME_WIDTH, TYPE_WIDTH = 20, 28

Refer = Callable[[TableName], str]


def describe(spec: TableSpec, refer: Refer) -> str:
    """Return the definition of a table; `refer` names the tables that it refers to.

    The text holds what the language can say: hidden columns are left out.
    """
    return "\n".join([*_Description(spec, refer).lines(), ""])


@dataclass
class _Description:
    """The text in the making: which attributes and references are written already."""

    spec: TableSpec
    refer: Refer
    written: set[str] = field(default_factory=set[str])
    waiting: list[ForeignKey] = field(default_factory=list[ForeignKey])
    unique: set[Index] = field(default_factory=set[Index])

    def lines(self) -> Iterator[str]:
        heading = self.spec.heading
        self.waiting = list(self.spec.foreign_keys)
        self.unique = {i for i in self.spec.indexes if i.is_unique}
        if self.spec.comment:
            yield f"# {self.spec.comment}"
        key = [a for a in heading if a.in_key]
        others = [a for a in heading if not a.in_key]
        yield from self._section(key, in_key=True)
        if others or self.waiting or not key:
            yield "---"
        yield from self._section(others, in_key=False)
        for index in self.spec.indexes:
            if not index.is_unique or index in self.unique:
                yield f"{'unique ' if index.is_unique else ''}index({', '.join(index.terms)})"

    def _section(self, attributes: list[Attribute], *, in_key: bool) -> Iterator[str]:
        for i, attribute in enumerate(attributes):
            if attribute.name in self.written:
                continue
            reference = self._bringing(attributes[i:], in_key=in_key)
            if reference is None:
                self.written.add(attribute.name)
                yield _attribute_line(attribute)
            else:
                yield self._reference_line(reference, is_nullable=attribute.nullable)
        for reference in [*self.waiting]:
            # Brings nothing: its attributes are here already.
            is_ready = self.written.issuperset(reference.names)
            if is_ready and not (in_key and reference.parent == self.spec.name):
                yield self._reference_line(reference, is_nullable=False)

    def _bringing(self, following: list[Attribute], *, in_key: bool) -> ForeignKey | None:
        """Return a reference that brings the next attributes, and no others."""
        names = [a.name for a in following]
        for reference in self.waiting:
            if in_key and reference.parent == self.spec.name:
                continue
            brought = [n for n in reference.names if n not in self.written]
            if brought and brought == names[: len(brought)]:
                alike = {(a.nullable, a.default) for a in following[: len(brought)]}
                if len(alike) == 1:
                    return reference
        return None

    def _reference_line(self, reference: ForeignKey, *, is_nullable: bool) -> str:
        self.waiting.remove(reference)
        self.written.update(reference.names)
        options = ["nullable"] if is_nullable else []
        index = Index(reference.names, is_unique=True)
        if index in self.unique:
            self.unique.remove(index)
            options.append("unique")
        renames = ", ".join(f"{new}='{old}'" for new, old in reference.columns if new != old)
        written = f"[{', '.join(options)}] " if options else ""
        projection = f".proj({renames})" if renames else ""
        return f"-> {written}{self.refer(reference.parent)}{projection}"


def _attribute_line(attribute: Attribute) -> str:
    default = default_text(attribute)
    left = attribute.name if default is None else f"{attribute.name}={default}"
    type_ = f"{attribute.type}{' auto_increment' if attribute.is_auto else ''}"
    if not attribute.comment:
        return f"{left:<{NAME_WIDTH}} : {type_}"
    return f"{left:<{NAME_WIDTH}} : {type_:<{TYPE_WIDTH}} # {attribute.comment}"
