"""The version of the code that makes a table's rows.

It is a hash of the table's make, and of everything in the user's own package that it reaches:
functions and classes by their names, methods by `self`, constants by their values. What other
packages do is their version's matter; the git commit beside it tells the rest.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import importlib
import inspect
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, cast

from djq.errors import UsageError
from djq.populate import sources
from djq.populate.digests import digest
from djq.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Characters of a version; as long as a short git hash, and enough for one class's history.
LENGTH = 12
#: The methods that make rows.
FORMS = ("make", "_make_tuples", "make_fetch", "make_compute", "make_insert", "make_many")
#: Functions and classes that are followed at most; a pipeline has some dozens.
MAX_PARTS = 2_000

_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, enum.Enum)
#: Where wrappers keep the function.
_INNER: Mapping[type[object], str] = {
    staticmethod: "__func__",
    classmethod: "__func__",
    property: "fget",
    functools.cached_property: "func",
}
_LIBRARIES = tuple({sysconfig.get_path(n) for n in ("stdlib", "platstdlib", "purelib", "platlib")})


@lru_cache(maxsize=1024)
def code_version(cls: type) -> str:
    """Return a hash of the code that makes a table's rows.

    Comments, blank lines and docstrings do not count, nor does what make does not reach.
    """
    reached = _Reached(cls)
    for name in FORMS:
        reached.follow_method(cls, name)
    text = "\n".join(sorted(reached.texts))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:LENGTH]


class _Reached:
    """What a make reaches, followed name by name."""

    def __init__(self, cls: type) -> None:
        self.texts: set[str] = set()
        self._home = _Home(cls.__module__)
        self._seen: set[tuple[int, type | None]] = set()

    def follow_method(self, cls: type, name: str, *, is_parents: bool = False) -> None:
        """Follow an attribute of a class, where the user's package defines it."""
        for base in cls.__mro__:
            if name not in vars(base):
                continue
            if self._home.has(base.__module__):
                self._follow(vars(base)[name], cls, name, base)
            if not is_parents:
                return

    def _follow(self, thing: Any, cls: type | None, name: str, place: type | ModuleType) -> None:  # noqa: ANN401 - whatever has a name
        """Follow what a name stands for; `place` is the class or module that has it."""
        thing = _unwrapped(thing)
        if isinstance(thing, functools.partial):
            for part in (thing.func, *thing.args, *thing.keywords.values()):
                self._follow(part, cls, name, place)
        elif isinstance(thing, FunctionType):
            self._follow_function(thing, cls)
        elif isinstance(thing, type):
            self._follow_class(cast("type[object]", thing))
        elif not isinstance(thing, ModuleType):
            self._add_value(thing, name, place)

    def _is_new(self, thing: object, cls: type | None) -> bool:
        mark = (id(thing), cls)
        if mark in self._seen or len(self._seen) >= MAX_PARTS:
            return False
        self._seen.add(mark)
        return True

    def _follow_function(self, function: FunctionType, cls: type | None) -> None:
        if not self._home.has(function.__module__) or not self._is_new(function, cls):
            return
        self.texts.add(sources.text_of(function))
        wrapped: object = getattr(function, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):
            self._follow_function(wrapped, cls)
        names = _names_in(function, self._home)
        own = function.__code__.co_varnames[:1] if function.__code__.co_argcount else ()
        for chain in sorted(sources.chains_of(function)):
            self._follow_chain(chain, cls, own, names)

    def _follow_class(self, cls: type[object]) -> None:
        """Follow a class that is used as a whole; of a table only what is named."""
        is_table = Table in cls.__mro__
        if is_table or not self._home.has(cls.__module__):
            return
        if not self._is_new(cls, None):
            return
        self.texts.add(sources.text_of(cls))
        for base in cls.__bases__:
            self._follow_class(base)
        for name, value in sorted(vars(cls).items()):
            if isinstance(_unwrapped(value), FunctionType):
                self._follow(value, cls, name, cls)

    def _follow_chain(
        self,
        chain: sources.Chain,
        cls: type | None,
        own: tuple[str, ...],
        names: Mapping[str, Any],
    ) -> None:
        root, *attributes = chain
        is_own = cls is not None and (root == sources.SUPER or root in own)
        if is_own and cls is not None:
            if len(attributes) == 1:
                self.follow_method(cls, attributes[0], is_parents=root == sources.SUPER)
            elif attributes:  # such as a part's own method
                inner = inspect.getattr_static(cls, attributes[0], None)
                if isinstance(inner, type):
                    self.follow_method(cast("type[object]", inner), attributes[1])
            return
        if root not in names:
            return
        found: Any = names[root]
        place: type | ModuleType | None = sys.modules.get(str(names.get("__name__")))
        name = root
        for name in attributes:
            place = found if isinstance(found, type | ModuleType) else None
            if place is None:
                return
            found = inspect.getattr_static(place, name, None)
        if isinstance(place, type):
            self.follow_method(place, name)
        elif place is not None and (found is None or self._home.has(_module_of(found, place))):
            self._follow(found, None, name, place)

    def _add_value(self, value: Any, name: str, place: type | ModuleType) -> None:  # noqa: ANN401 - a constant
        """Add a constant by its value; what may change while it runs by how it is assigned."""
        if isinstance(value, _CONSTANTS):
            try:
                self.texts.add(f"{name}={digest(value).hex()}")
            except UsageError:  # a tuple of other things
                pass
            else:
                return
        owner: type | str | None = place if isinstance(place, type) else _source(place)
        text = None if owner is None else sources.assignments(owner, name)
        if text is not None:
            self.texts.add(text)


class _Home:
    """The modules that are of one package with a table's class."""

    def __init__(self, module: str) -> None:
        self._top = module.partition(".")[0]
        found = sys.modules.get(self._top)
        file = getattr(found, "__file__", None)
        # A single file, or a script: then the files beside it belong to it, too.
        is_alone = found is not None and not hasattr(found, "__path__") and file is not None
        folder = str(Path(file).resolve().parent) if is_alone and file is not None else None
        self._folder = None if folder is None or folder.startswith(_LIBRARIES) else folder
        self._known: dict[str, bool] = {}

    def has(self, module: str | None) -> bool:
        """Tell whether a module belongs to the package."""
        if module is None:
            return False
        if module not in self._known:
            self._known[module] = self._has(module)
        return self._known[module]

    def _has(self, module: str) -> bool:
        if module.partition(".")[0] == self._top:
            return True
        file = getattr(sys.modules.get(module), "__file__", None)
        if self._folder is None or file is None:
            return False
        where = str(Path(file).resolve())
        return Path(where).is_relative_to(self._folder) and not where.startswith(_LIBRARIES)


def _unwrapped(thing: Any) -> Any:  # noqa: ANN401 - whatever a class may hold
    """Return the function inside of a method, property or cache."""
    kind = cast("type[object]", type(thing))
    inner = _INNER.get(kind, "__wrapped__" if hasattr(thing, "cache_info") else None)
    return thing if inner is None else getattr(thing, inner, None)


def _names_in(function: FunctionType, home: _Home) -> Mapping[str, Any]:
    """Return the values of names that a function may use: global, of its closure, imported."""
    names: dict[str, Any] = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            names.pop(name, None)
    for name, module, attribute in sources.imports_in(function):
        if not home.has(module):
            continue
        try:
            found = importlib.import_module(module)
        except Exception:  # noqa: BLE001 - the make itself will say so
            found = None
        names[name] = found if attribute is None else getattr(found, attribute, None)
    return names


def _module_of(thing: Any, place: ModuleType) -> str:  # noqa: ANN401 - whatever has a name
    """Return the module that a thing comes from: a constant from where it stands."""
    found: object = getattr(thing, "__module__", None)
    return found if isinstance(found, str) else place.__name__


@lru_cache(maxsize=256)
def _source(module: ModuleType) -> str | None:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return None
