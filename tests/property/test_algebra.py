"""The algebra against a small relation model in memory, on every database."""

from __future__ import annotations

import itertools
import operator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import djq as dj
from djq.errors import QueryError
from tests.support.examples import examples

EXAMPLES = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NUMBERS = st.integers(-2, 3)
MAYBE = st.none() | NUMBERS
WORDS = st.sampled_from(["", "a", "A", "ab", "%", "a ", "ä"])
COMPARE = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


# --- the model: a relation is its key and a list of dicts; None is unknown ----------------------


def unknown_or(compare, left, right):
    return None if left is None or right is None else compare(left, right)


def negate(value):
    return None if value is None else not value


def conjunction(*values):
    return False if False in values else None if None in values else True


def disjunction(*values):
    return True if True in values else None if None in values else False


def as_set(rows, names):
    return sorted((tuple(row[n] for n in names) for row in rows), key=repr)


# --- conditions: text beside what it means ------------------------------------------------------


@st.composite
def comparisons(draw):
    name = draw(st.sampled_from(["a", "x"]))
    sign = draw(st.sampled_from(sorted(COMPARE)))
    value = draw(NUMBERS)
    compare = COMPARE[sign]
    if draw(st.booleans()):
        return f"{name} {sign} {value}", lambda row: unknown_or(compare, row[name], value)
    return f"{value} {sign} {name}", lambda row: unknown_or(compare, value, row[name])


@st.composite
def simple_conditions(draw):
    kind = draw(st.sampled_from(["compare", "null", "in", "between", "text"]))
    if kind == "compare":
        return draw(comparisons())
    if kind == "null":
        return draw(
            st.sampled_from(
                [
                    ("x is null", lambda row: row["x"] is None),
                    ("x is not null", lambda row: row["x"] is not None),
                ]
            )
        )
    if kind == "in":
        values = draw(st.lists(NUMBERS, min_size=1, max_size=3))
        has_not = draw(st.booleans())
        text = f"x {'not ' if has_not else ''}in ({', '.join(map(str, values))})"

        def is_in(row):
            found = unknown_or(lambda x, _: x in values, row["x"], 0)
            return negate(found) if has_not else found

        return text, is_in
    if kind == "between":
        low, high = draw(NUMBERS), draw(NUMBERS)
        return (
            f"x between {low} and {high}",
            lambda row: unknown_or(lambda x, _: low <= x <= high, row["x"], 0),
        )
    word = draw(WORDS)
    return f"w = '{word}'", lambda row: row["w"] == word


CONDITIONS = st.recursive(
    simple_conditions(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(
            lambda p: (
                f"({p[0][0]}) and ({p[1][0]})",
                lambda row: conjunction(p[0][1](row), p[1][1](row)),
            )
        ),
        st.tuples(inner, inner).map(
            lambda p: (
                f"({p[0][0]}) or ({p[1][0]})",
                lambda row: disjunction(p[0][1](row), p[1][1](row)),
            )
        ),
        inner.map(lambda c: (f"not ({c[0]})", lambda row: negate(c[1](row)))),
    ),
    max_leaves=4,
)
MAPPINGS = st.fixed_dictionaries({}, optional={"a": NUMBERS, "x": MAYBE, "w": WORDS})


def matches(mapping):
    return lambda row: all(row[n] == v for n, v in mapping.items())


@st.composite
def any_condition(draw):
    """A condition of any form, and its meaning: true or not."""
    kind = draw(st.sampled_from(["text", "mapping", "list", "and list", "not"]))
    if kind == "text":
        text, truth = draw(CONDITIONS)
        return text, lambda row: truth(row) is True
    if kind == "mapping":
        mapping = draw(MAPPINGS)
        return mapping, matches(mapping)
    if kind == "not":
        condition, truth = draw(any_condition())
        return dj.Not(condition), lambda row: not truth(row)
    pairs = draw(st.lists(st.deferred(any_condition), max_size=3))
    conditions, truths = [c for c, _ in pairs], [t for _, t in pairs]
    if kind == "list":
        return conditions, lambda row: any(t(row) for t in truths)
    return dj.AndList(conditions), lambda row: all(t(row) for t in truths)


#: Rows of A: key a. Rows of B: key (a, b), where a refers to A.
ROWS_A = st.dictionaries(NUMBERS, st.tuples(MAYBE, WORDS), max_size=5)
ROWS_B = st.dictionaries(st.tuples(NUMBERS, st.integers(0, 2)), MAYBE, max_size=7)


@pytest.fixture
def world(schema):
    """Two tables, emptied and filled anew for each example."""

    @schema
    class A(dj.Manual):
        definition = """
        a : int8
        ---
        x = null : int32
        w : varchar(8)
        """

    @schema
    class B(dj.Manual):
        definition = """
        -> A
        b : int8
        ---
        y = null : int32
        """

    return A, B


def fill(world, rows_a, rows_b):
    """Put these rows into the tables; return them as the model has them."""
    table_a, table_b = world
    database = table_a.schema.connection.database
    with database.transaction():
        database.delete(table_b().node)
        database.delete(table_a().node)
        a = [{"a": a, "x": x, "w": w} for a, (x, w) in rows_a.items()]
        b = [{"a": a, "b": b, "y": y} for (a, b), y in rows_b.items() if a in rows_a]
        table_a.insert(a)
        table_b.insert(b)
    return a, b


def assert_rows(query, expected):
    """Check a query by every way of asking for its rows."""
    names = query.heading.names
    wanted = as_set(expected, names)
    assert as_set(query.to_dicts(), names) == wanted
    assert as_set(query, names) == wanted
    assert len(query) == len(wanted)
    assert bool(query) == bool(wanted)
    key = query.primary_key
    ordered = [tuple(row[n] for n in key) for row in query.keys(order_by="KEY")]
    assert ordered == sorted(tuple(row[n] for n in key) for row in expected)


@EXAMPLES
@given(ROWS_A, any_condition())
def test_restrictions_and_their_complements(world, rows, condition):
    a, _ = fill(world, rows, {})
    given_condition, truth = condition

    assert_rows(world[0] & given_condition, [row for row in a if truth(row)])
    assert_rows(world[0] - given_condition, [row for row in a if not truth(row)])


@EXAMPLES
@given(ROWS_A, any_condition(), any_condition())
def test_restrictions_follow_each_other_in_any_order(world, rows, first, second):
    a, _ = fill(world, rows, {})
    expected = [row for row in a if first[1](row) and second[1](row)]

    assert_rows(world[0] & first[0] & second[0], expected)
    assert_rows(world[0] & second[0] & first[0], expected)
    assert_rows(world[0] & dj.AndList([first[0], second[0]]), expected)


@EXAMPLES
@given(ROWS_A, ROWS_B, any_condition())
def test_queries_restrict_queries(world, rows_a, rows_b, condition):
    a, b = fill(world, rows_a, rows_b)
    table_a, table_b = world
    chosen = {row["a"] for row in a if condition[1](row)}
    referred = {row["a"] for row in b}

    assert_rows(table_b & (table_a & condition[0]), [r for r in b if r["a"] in chosen])
    assert_rows(table_b - (table_a & condition[0]), [r for r in b if r["a"] not in chosen])
    assert_rows(table_a & table_b, [r for r in a if r["a"] in referred])
    assert_rows(table_a - table_b, [r for r in a if r["a"] not in referred])
    assert_rows(
        (table_a & condition[0]) - (table_b & "y > 0"),
        [
            r
            for r in a
            if r["a"] in chosen and not any(s["a"] == r["a"] and (s["y"] or 0) > 0 for s in b)
        ],
    )


@EXAMPLES
@given(ROWS_A, ROWS_B, any_condition())
def test_joins(world, rows_a, rows_b, condition):
    a, b = fill(world, rows_a, rows_b)
    table_a, table_b = world
    pairs = [{**r, **s} for r in a for s in b if r["a"] == s["a"]]
    chosen = [row for row in pairs if condition[1](row)]

    assert_rows(table_a * table_b, pairs)
    assert_rows(table_b * table_a, pairs)
    assert_rows((table_a * table_b) & condition[0], chosen)
    assert_rows((table_a & condition[0]) * table_b, chosen)
    assert_rows(table_b.join(table_a & condition[0], left=True), _left_join(b, a, condition[1]))
    others = table_a.proj(a2="a", x2="x", w2="w")
    assert_rows(
        table_a * others & "a < a2",
        [
            {**r, "a2": s["a"], "x2": s["x"], "w2": s["w"]}
            for r, s in itertools.product(a, a)
            if r["a"] < s["a"]
        ],
    )


def _left_join(b, a, truth):
    found = {row["a"]: row for row in a if truth(row)}
    lonely = {"x": None, "w": None}
    return [{**lonely, **found.get(row["a"], {}), **row} for row in b]


@EXAMPLES
@given(ROWS_A, st.integers(-2, 2))
def test_projections(world, rows, number):
    a, _ = fill(world, rows, {})
    table = world[0]

    assert_rows(table.proj(), [{"a": r["a"]} for r in a])
    assert_rows(table.proj("x"), [{"a": r["a"], "x": r["x"]} for r in a])
    assert_rows(table.proj(..., "-w"), [{"a": r["a"], "x": r["x"]} for r in a])
    assert_rows(table.proj(k="a", v="x"), [{"k": r["a"], "v": r["x"]} for r in a])
    assert_rows(table.proj(x2="(x)"), [{"a": r["a"], "x2": r["x"]} for r in a])
    computed = [{"a": r["a"], "s": None if r["x"] is None else r["x"] * number + r["a"]} for r in a]
    query = table.proj(s=f"x * {number} + a")
    assert_rows(query, computed)
    assert_rows(query & "s > 0", [r for r in computed if (r["s"] or 0) > 0])
    assert_rows(query - "s > 0", [r for r in computed if not (r["s"] or 0) > 0])
    assert_rows(
        table.proj(big="if(x > 0, 'yes', 'no')", y="coalesce(x, 9)"),
        [
            {
                "a": r["a"],
                "big": "yes" if (r["x"] or 0) > 0 else "no",
                "y": 9 if r["x"] is None else r["x"],
            }
            for r in a
        ],
    )


@EXAMPLES
@given(ROWS_A, ROWS_B, any_condition(), st.integers(0, 2))
def test_aggregations(world, rows_a, rows_b, condition, number):
    a, b = fill(world, rows_a, rows_b)
    table_a, table_b = world
    counted = [_aggregated(r, [s for s in b if s["a"] == r["a"]]) for r in a]
    query = table_a.aggr(
        table_b,
        "x",
        "w",
        n="count(*)",
        known="count(y)",
        total="sum(y)",
        low="min(y)",
        mean="avg(y)",
    )

    assert_rows(query, counted)
    assert_rows(query & f"n = {number}", [r for r in counted if r["n"] == number])
    assert_rows(query - f"n = {number}", [r for r in counted if r["n"] != number])
    assert_rows(query & condition[0], [r for r in counted if condition[1](r)])
    assert_rows(
        query & condition[0] & f"n <= {number}",
        [r for r in counted if condition[1](r) and r["n"] <= number],
    )
    matching = [s for s in b if s["b"] == number]
    assert_rows(
        table_a.aggr(table_b & {"b": number}, n="count(*)"),
        [{"a": r["a"], "n": sum(s["a"] == r["a"] for s in matching)} for r in a],
    )
    assert_rows(
        (table_a & condition[0]).aggr(table_b, n="count(*)", exclude_nonmatching=True),
        [
            {"a": r["a"], "n": r["n"]}
            for r in counted
            if condition[1](r) and any(s["a"] == r["a"] for s in b)
        ],
    )
    assert_rows(
        table_b * table_a.aggr(table_b, n="count(*)"),
        [{**s, "n": next(r["n"] for r in counted if r["a"] == s["a"])} for s in b],
    )


def _aggregated(row, matching):
    known = [s["y"] for s in matching if s["y"] is not None]
    return {
        **row,
        "n": len(matching),
        "known": len(known),
        "total": sum(known) if known else None,
        "low": min(known, default=None),
        "mean": sum(known) / len(known) if known else None,
    }


@EXAMPLES
@given(ROWS_A, st.integers(0, 6), st.integers(0, 6))
def test_windows(world, rows, limit, offset):
    a, _ = fill(world, rows, {})
    ordered = sorted(a, key=lambda r: (r["w"], -r["a"]))

    found = world[0].to_dicts(order_by=["w", "a DESC"], limit=limit, offset=offset)

    assert found == ordered[offset : offset + limit]


# --- text of users ------------------------------------------------------------------------------

WORDS_OF_SQL = st.sampled_from(
    [
        *("a", "x", "w", "b", "`x`", "1", "-1", "1.5", "1e3", "'q'", '"q"', "null", "true", "()"),
        *("(", ")", ",", "*", "+", "-", "/", "%", "=", "<>", "<", ">=", "<=>", "!", "~", "^", "|"),
        *("and", "or", "not", "in", "is", "like", "between", "case", "when", "then", "end", "xor"),
        *("select", "from", "union", "drop table", "delete", "insert into", "update", "set", ";"),
        *("--", "#", "/*", "*/", "/*!", "@@version", "@a", ":=", ":x", "?", "%s", "{x}", "\\", "'"),
        *(
            "abs(",
            "sleep(",
            "max(",
            "count(",
            "if(",
            "char_length(",
            "load_file(",
            "round(",
            "now(",
        ),
        *("distinct", "over", "collate", "interval 1 day", "binary", "exists", "any", "div", "$x"),
    ]
)
TEXTS = st.lists(WORDS_OF_SQL, max_size=9).map(" ".join) | st.text(max_size=20)


@settings(EXAMPLES, max_examples=examples(300))
@given(TEXTS)
def test_any_text_is_an_expression_or_refused(world, text):
    """Nothing but a QueryError comes out, and what is read runs and changes nothing."""
    table = world[0]
    if not table():
        fill(world, {1: (2, "a"), 2: (None, "b")}, {})
    for build in (lambda: table & text, lambda: table.proj(new=text)):
        try:
            query = build()
        except QueryError:
            continue
        assert len(query.to_dicts()) <= 2
    assert len(table) == 2
