"""Generated definitions: tables that refer to each other, with all that the language has."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from hypothesis import strategies as st

from djq.definition.spec import TableSpec, Tier, build
from djq.errors import DefinitionError

#: Any character of a line, and those that servers and languages give a meaning more often.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\n\0") | st.sampled_from(
    [*"%{}\\'\"`#:@$;,()[]<>-_ äß€漢\u2028\x85\x0c", "😀", "\U0010ffff"]
)
NASTY = st.sampled_from(
    ["%s %(x)s %%", "{x} {{}}", "\\n \\\\ \\'", 'it\'s "so"', "# : -- /* */", "\\U0001f600", "`x`"]
)
COMMENTS = (
    (st.text(CHARACTERS, max_size=30) | NASTY)
    .map(str.strip)
    .filter(lambda c: not c.startswith(":"))
)


def quoted(text, quote='"'):
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"


def integers(name, bits, *, unsigned=False):
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.just(name), st.integers(low, high).map(str)


def texts(n):
    return st.text(CHARACTERS, max_size=n).flatmap(
        lambda t: st.sampled_from([quoted(t), quoted(t, "'")])
    )


def decimals(name, precision, scale, *, low=-1):
    bound = 10**precision - 1
    return st.integers(low * bound, bound).map(
        lambda n: f"{'-' if n < 0 else ''}{abs(n) // 10**scale}.{abs(n) % 10**scale:0{scale}d}"
    )


NUMBERS = [
    *(integers(f"int{bits}", bits) for bits in (8, 16, 32, 64)),
    *(
        integers(f"{name}{' unsigned' * unsigned}", bits, unsigned=bool(unsigned))
        for name, bits in (
            *(("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)),
            *(("integer", 32), ("int(11)", 32), ("tinyint(1)", 8)),
        )
        for unsigned in (0, 1)
    ),
]
ENUM_VALUES = st.lists(
    st.text(CHARACTERS, max_size=8).filter(lambda t: not t.endswith(" ")),
    min_size=1,
    max_size=4,
    unique=True,
)


@st.composite
def enums(draw):
    values = draw(ENUM_VALUES)
    quote = draw(st.sampled_from("'\""))
    type_ = f"enum({', '.join(quoted(v, quote) for v in values)})"
    return type_, quoted(draw(st.sampled_from(values)))


@st.composite
def digits(draw, name, values):
    n = draw(st.sampled_from([None, 0, 3, 6]))
    return name if n is None else f"{name}({n})", quoted(draw(values))


def pair(type_, default):
    return st.tuples(type_ if isinstance(type_, st.SearchStrategy) else st.just(type_), default)


DATETIMES = st.datetimes(
    min_value=dt.datetime.fromisoformat("1000-01-01"),
    max_value=dt.datetime.fromisoformat("9999-12-31"),
).map(lambda t: t.isoformat(sep=" "))
TIMESTAMPS = st.datetimes(
    min_value=dt.datetime.fromisoformat("1970-01-02"),
    max_value=dt.datetime.fromisoformat("2038-01-18"),
).map(lambda t: t.isoformat(sep=" "))
CLOCKS = st.tuples(
    st.sampled_from(["", "-"]), st.integers(0, 837), st.integers(0, 59), st.integers(0, 59_999_999)
).map(lambda t: f"{t[0]}{t[1]:02d}:{t[2]:02d}:{t[3] // 10**6:02d}.{t[3] % 10**6:06d}")

#: Types of keys: their text and the text of a default.
KEY_TYPES = st.one_of(
    *(pair(*n) for n in NUMBERS),
    pair("bool", st.sampled_from(["true", "false", "0", "1"])),
    pair("boolean", st.sampled_from(["True", "'0'"])),
    pair("varchar(20)", texts(20)),
    pair("char(5)", texts(5)),
    pair("date", st.dates(min_value=dt.date(1000, 1, 1)).map(str).map(quoted)),
    digits("datetime", DATETIMES),
    digits("timestamp", TIMESTAMPS),
    digits("time", CLOCKS),
    pair("decimal(6,2)", decimals("decimal", 6, 2)),
    pair("numeric(15,4)", decimals("decimal", 15, 4)),
    pair("decimal(8,3) unsigned", decimals("decimal", 8, 3, low=0)),
    pair("uuid", st.uuids().map(str)),
    pair("year", st.integers(1901, 2155).map(str)),
    enums(),
    pair("binary(4)", st.none()),
    pair("varbinary(9)", st.none()),
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)
#: Types of other attributes; a default of None: only null.
TYPES = st.one_of(
    KEY_TYPES,
    pair("float32", FLOATS),
    pair("float", FLOATS),
    pair("float(7,2)", decimals("float", 6, 2)),
    pair("float64", st.floats(allow_nan=False, allow_infinity=False).map(repr)),
    pair("double precision", FLOATS),
    pair("real unsigned", st.floats(0, 1e300).map(repr)),
    pair("double(9,3)", decimals("double", 9, 3)),
    st.tuples(
        st.sampled_from(
            [
                *("json", "bytes", "<blob>", "<blob@raw>", "<blob@>"),
                *("tinytext", "text", "mediumtext", "longtext"),
                *("tinyblob", "blob", "mediumblob", "longblob"),
            ]
        ),
        st.none(),
    ),
)


@dataclass
class Drawn:
    """One generated class."""

    class_name: str
    tier: Tier
    text: str
    master: str | None = None


@dataclass
class World:
    """Generated classes, parents first; `specs` are built in one schema."""

    schema: str
    classes: list[Drawn]
    specs: dict[str, TableSpec] = field(default_factory=dict)

    def build(self, drawn, text=None):
        """Return the spec of a class, or of another definition of it."""
        master = self.specs[drawn.master] if drawn.master else None

        def resolve(name):
            wanted = drawn.master if name == "master" else name
            if wanted not in self.specs:
                message = f'unknown table "{name}"'
                raise DefinitionError(message)
            return self.specs[wanted]

        spec = build(
            drawn.text if text is None else text,
            schema=self.schema,
            class_name=drawn.class_name,
            tier=drawn.tier,
            resolve=resolve,
            master=master,
        )
        self.specs[drawn.class_name] = spec
        return spec

    def refer(self, name):
        """Return how a definition names a table."""
        return next(n for n, s in self.specs.items() if s.name == name)

    def parents(self, spec):
        """Return the specs of the tables that one refers to."""
        return {s.name: s for s in self.specs.values() if s.name in spec.parents}


@st.composite
def attributes(draw, name, *, in_key):
    type_, default = draw(KEY_TYPES if in_key else TYPES)
    comment = draw(COMMENTS)
    kind = draw(st.sampled_from(["none", "null", "value", "now"]))
    shown = ""
    if kind == "value" and default is not None:
        shown = f" = {default}"
    elif kind == "now" and type_.startswith(("datetime", "timestamp")):
        shown = " = CURRENT_TIMESTAMP"
    elif kind == "null" and not in_key:
        shown = f" = {draw(st.sampled_from(['null', 'NULL']))}"
    return f"{name}{shown} : {type_}{f'  # {comment}' if comment else ''}", type_


@st.composite
def references(draw, prefix, target, key, *, in_key, must_rename=False):
    """A reference to `target`, whose key is `key`; the names that it brings."""
    some = st.sampled_from([set(), {"unique"}, {"nullable"}, {"unique", "nullable"}])
    options = sorted(draw(some) - ({"nullable"} if in_key else set()))
    shown = f"[{', '.join(options)}] " if options else ""
    if not (must_rename or draw(st.booleans())):
        return f"-> {shown}{target}{draw(st.sampled_from(['', '.proj()']))}", list(key)
    new = [f"{prefix}_{name}" for name in key]
    renames = ", ".join(f"{n}='{o}'" for n, o in zip(new, key, strict=True))
    return f"-> {shown}{target}.proj({renames})", new


@st.composite
def classes(draw, name, before, tiers, *, backend):
    """One class that may refer to those before it: name → its key; masters: name → its tier."""
    kind = draw(st.sampled_from(["plain"] * 6 + ["singleton", "auto", "serial"]))
    lines, key, others, types = [], [], [], {}
    letter = name[0].lower()
    targets = [n for n, k in before.items() if k]
    masters = [n for n in targets if n in tiers] if kind == "plain" else []
    master = draw(st.sampled_from([None, *masters]))
    if kind == "auto":
        key = [f"{letter}_id"]
        type_ = draw(st.sampled_from(["int32", "int64", "bigint unsigned", "int", "smallint"]))
        lines.append(f"{key[0]} : {type_} auto_increment # {draw(COMMENTS)}")
    elif kind == "serial":
        key = [f"{letter}_id"]
        lines.append(f"{key[0]} : serial")
    elif kind == "plain":
        if master:
            lines.append("-> master")
            key += before[master]
        for i in range(draw(st.integers(0 if key else 1, 2))):
            key.append(f"{letter}{i}")
            line, types[key[-1]] = draw(attributes(key[-1], in_key=True))
            lines.append(line)
        if targets and draw(st.booleans()):
            target = draw(st.sampled_from(targets))
            line, brought = draw(references(f"{letter}k", target, before[target], in_key=True))
            lines.append(line)
            key += [n for n in brought if n not in key]
    own = f"{master}.{name}" if master else name
    lines.append("---")
    for i in range(draw(st.integers(1 if kind == "singleton" else 0, 4))):
        others.append(f"{letter}x{i}")
        line, types[others[-1]] = draw(attributes(others[-1], in_key=False))
        lines.append(line)
    for i in range(draw(st.integers(0, 2))):
        target = draw(st.sampled_from([*targets, *([own] if key else [])] or [None]))
        if target is None:
            break
        is_own = target == own
        theirs = key if is_own else before[target]
        line, brought = draw(
            references(f"{letter}r{i}", target, theirs, in_key=False, must_rename=is_own)
        )
        lines.append(line)
        others += [n for n in brought if n not in [*key, *others]]
    head = draw(COMMENTS)
    text = "\n".join([*([f"# {head}"] if head else []), *lines])
    indexes = draw(index_lines(types, [*key, *others], backend=backend))
    tier = draw(st.sampled_from([Tier.MANUAL, Tier.LOOKUP, *([Tier.COMPUTED] if key else [])]))
    tier = tiers[master] if master else tier
    return Drawn(name, tier, "\n".join([text, *indexes]), master), key


@st.composite
def index_lines(draw, types, names, *, backend):
    """Indexes over what can be indexed; those of expressions where the server has them."""
    long = ("json", "bytes", "<", "tinytext", "text", "mediumtext", "longtext", "blob")
    found = []
    plain = [n for n in names if not any(w in types.get(n, "") for w in long)]
    for _ in range(draw(st.integers(0, 2))):
        if not plain:
            break
        some = draw(st.lists(st.sampled_from(plain), min_size=1, max_size=2, unique=True))
        found.append(f"{draw(st.sampled_from(['', 'unique ']))}index({', '.join(some)})")
    if backend == "mariadb":
        return found
    for name, type_ in types.items():
        if type_.startswith("int") and "auto" not in type_ and draw(st.booleans()):
            found.append(f"index(({name} * 2 + 1), {name})")
        if type_.startswith("varchar") and draw(st.booleans()):
            found.append(f"index((lower({name})))")
        if type_.startswith("json"):
            found.append(f"index({name}.a.b[0]:{draw(st.sampled_from(['char(9)', 'unsigned']))})")
    return found


@st.composite
def worlds(draw, schema="lab", backend="mysql"):
    """Some classes; each may refer to those before it."""
    drawn, keys, tiers = [], {}, {}
    for name in ("Alpha", "BetaTwo", "Gamma")[: draw(st.integers(1, 3))]:
        made, key = draw(classes(name, keys, tiers, backend=backend))
        drawn.append(made)
        keys[name] = key
        if made.master is None:
            tiers[name] = made.tier
    return World(schema, drawn)
