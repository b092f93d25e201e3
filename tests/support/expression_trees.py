"""Generated queries over generated tables, each beside its meaning in the relational model."""

from __future__ import annotations

import operator

import djq as dj
from djq.errors import QueryError
from tests.support.generated_conditions import Condition, Conditions
from tests.support.generated_tables import Tree
from tests.support.relational_model import (
    RefusedError,
    complement,
    conjunction,
    disjunction,
    known,
)

#: Rows of a query, characters of one that is used again, and how many of these: at most.
MAX_ROWS, MAX_TEXT, MAX_KNOWN = 150, 400, 30


class Grower(Conditions):
    """Grows queries over some tables, at random and the same for the same seed."""

    def __init__(self, chance, leaves):
        super().__init__(chance)
        self.leaves = leaves
        #: Queries that others are combined with; those that came first go first.
        self.known = list(leaves)

    # --- conditions of all forms

    def condition(self, model, depth):  # noqa: PLR0911 - one per form
        """Return a condition on the rows of `model`; RefusedError if it has no meaning."""
        kinds = ["text", "text", "mapping", "query", "list", "and", "not", "bool"]
        typed = [(a.name, a.type) for a in model.attributes]
        match self.chance.choice(kinds if depth > 0 else ["text", "text", "mapping", "text"]):
            case "text":
                text, truth = self.words(typed)
                return Condition(text, truth, repr(text))
            case "mapping":
                return self.mapping(typed)
            case "query":
                tree = self.related(model)
                return Condition(tree.query, model.matching(tree.model), tree.text)
            case "not":
                inner = self.condition(model, depth - 1)
                text = f"dj.Not({inner.text})"
                return Condition(dj.Not(inner.given), complement(inner.truth), text)
            case "bool":
                value = self.chance.random() < 0.7
                return Condition(value, lambda _: value, str(value))
            case kind:
                some = [
                    self.condition(model, depth - 1)
                    for _ in range(self.chance.choice([0, 1, 2, 2, 3]))
                ]
                given, truths = [c.given for c in some], [c.truth for c in some]
                text = f"[{', '.join(c.text for c in some)}]"
                if kind == "list":
                    return Condition(given, disjunction(truths), text)
                return Condition(dj.AndList(given), conjunction(truths), f"dj.AndList({text})")

    # --- operators

    def grow(self, depth):
        """Return a query with `depth` operators in a row, combined with ones that grew before."""
        tree = self.chance.choice(self.leaves)
        for left in range(depth, 0, -1):
            found = (self.applied(tree, left) for _ in range(5))
            tree = next((t for t in found if t is not None), tree)
        if len(tree.text) <= MAX_TEXT:
            self.known = [*self.known[: len(self.leaves)], *self.known[-MAX_KNOWN:], tree]
        return tree

    def related(self, model):
        """Return a query that likely shares attributes of the same origin, and no others."""
        some = [self.chance.choice(self.known) for _ in range(6)]
        for tree in some:
            try:
                if model.shared(tree.model):
                    return tree
            except RefusedError:
                continue
        return some[0]

    def applied(self, tree, depth):
        """Apply one operator to both; None where both refuse.

        Raises
        ------
        AssertionError
            Only one of them refuses.
        """
        step = getattr(self, f"_{self.chance.choice(OPERATORS)}")
        try:
            text, on_query, on_model = step(tree, depth)
        except RefusedError:  # of a condition's own queries
            return None
        try:
            model = on_model()
        except RefusedError as error:
            try:
                on_query()
            except QueryError:
                return None
            message = f"djq does not refuse {text}, the model does: {error}"
            raise AssertionError(message) from error
        if len(model.rows) > MAX_ROWS:
            return None
        if tree.model.rows and not model.rows and self.chance.random() < 0.8:
            return None  # of nothing comes nothing: few such queries are enough
        try:
            return Tree(on_query(), model, text)
        except QueryError as error:
            message = f"djq refuses {text}: {error}"
            raise AssertionError(message) from error

    def _restrict(self, tree, depth):
        c = self.condition(tree.model, min(depth - 1, 2))
        return (
            f"({tree.text} & {c.text})",
            lambda: tree.query & c.given,
            lambda: tree.model.restrict(c.truth),
        )

    def _antirestrict(self, tree, depth):
        c = self.condition(tree.model, min(depth - 1, 2))
        return (
            f"({tree.text} - {c.text})",
            lambda: tree.query - c.given,
            lambda: tree.model.antirestrict(c.truth),
        )

    def _semijoin(self, tree, depth):
        other = self.related(tree.model)
        return (
            f"({tree.text} & {other.text})",
            lambda: tree.query & other.query,
            lambda: tree.model.semijoin(other.model),
        )

    def _antijoin(self, tree, depth):
        other = self.related(tree.model)
        return (
            f"({tree.text} - {other.text})",
            lambda: tree.query - other.query,
            lambda: tree.model.antijoin(other.model),
        )

    def _join(self, tree, depth):
        other = self.related(tree.model)
        return (
            f"({tree.text} * {other.text})",
            lambda: tree.query * other.query,
            lambda: tree.model.join(other.model),
        )

    def _left_join(self, tree, depth):
        other = self.related(tree.model)
        is_extend = self.chance.random() < 0.5
        verb = "extend" if is_extend else "join"
        options = {} if is_extend else {"left": True}
        return (
            f"{tree.text}.{verb}({other.text}, **{options})",
            lambda: getattr(tree.query, verb)(other.query, **options),
            lambda: tree.model.join(other.model, is_left=True),
        )

    def _unchecked_join(self, tree, depth):
        other = self.related(tree.model)
        if any(tree.model[n].type != other.model[n].type for n in _common(tree, other)):
            raise RefusedError
        options = {"semantic_check": False, "left": self.chance.random() < 0.3}
        return (
            f"{tree.text}.join({other.text}, **{options})",
            lambda: tree.query.join(other.query, **options),
            lambda: tree.model.join(other.model, is_left=options["left"], is_checked=False),
        )

    def _unchecked_restrict(self, tree, depth):
        other = self.related(tree.model)
        if any(tree.model[n].type != other.model[n].type for n in _common(tree, other)):
            raise RefusedError
        return (
            f"{tree.text}.restrict({other.text}, semantic_check=False)",
            lambda: tree.query.restrict(other.query, semantic_check=False),
            lambda: tree.model.semijoin(other.model, is_checked=False),
        )

    def _proj(self, tree, depth):
        names, chance = list(tree.model.names), self.chance
        shown = chance.choice([[], [...], [...]])
        if chance.random() < 0.5 and names:
            shown = [*shown, *chance.sample(names, 1)]
        if chance.random() < 0.3 and names:
            shown = [*shown, f"-{chance.choice(names)}"]
        renamed, copied, computed = {}, {}, {}
        for _ in range(chance.choice([0, 1, 1, 2])):
            new = chance.choice(["x", "y", "n", "m", "v", "k", *names])
            match chance.choice(["rename", "rename", "copy", "compute"]) if names else "compute":
                case "rename":
                    renamed[new] = chance.choice(names)
                case "copy":
                    copied[new] = chance.choice(names)
                case _:
                    computed[new] = self._expression(tree.typed)
        words = list(renamed.items())
        words += [(n, f"({old})") for n, old in copied.items()]
        words += [(n, text) for n, (text, _, _) in computed.items()]
        chance.shuffle(words)
        if len(words) > len(dict(words)):
            raise RefusedError
        chosen = "".join("..., " if i is ... else f"{i!r}, " for i in shown)
        meaning = {n: (kind, value) for n, (_, kind, value) in computed.items()}
        # The model takes the first of the new names; they come in the order of the words.
        ordered = {n: renamed[n] for n, _ in words if n in renamed}
        return (
            f"{tree.text}.proj({chosen}**{dict(words)})",
            lambda: tree.query.proj(*shown, **dict(words)),
            lambda: tree.model.project(*shown, renamed=ordered, copied=copied, computed=meaning),
        )

    def _expression(self, typed):
        """Return an expression in text, its type, and its value for a row."""
        by_kind = {}
        for name, kind in typed:
            by_kind.setdefault(kind, []).append(name)
        kind = self.chance.choice(["int", "int", "text", "float", "if"])
        if kind in by_kind:
            a, b = self.chance.choice(by_kind[kind]), self.chance.choice(by_kind[kind])
            number = self.chance.randint(-2, 3)
            options = {
                "int": [
                    (f"{a} + {b}", known(operator.add, a, b)),
                    (f"{a} * {number}", known(lambda v: v * number, a)),
                    (f"coalesce({a}, 9)", lambda row: 9 if row[a] is None else row[a]),
                    (f"abs({a})", known(abs, a)),
                ],
                "text": [
                    (f"concat({a}, '!')", known(lambda v: f"{v}!", a)),
                    (f"coalesce({a}, 'a')", lambda row: "a" if row[a] is None else row[a]),
                    (f"ifnull({a}, {b})", lambda row: row[b] if row[a] is None else row[a]),
                ],
                "float": [
                    (f"{a} * 2", known(lambda v: v * 2, a)),
                    (f"{a} - {b}", known(operator.sub, a, b)),
                ],
            }
            text, value = self.chance.choice(options[kind])
            return text, kind, value
        if kind == "text":
            return "'a'", "text", lambda _: "a"
        if kind != "if":
            return "1", "int", lambda _: 1
        text, truth = self.words(typed, 1)
        return f"if({text}, 1, 2)", "int", lambda row: 1 if truth(row) else 2

    # --- aggregation, universal sets

    def _computed(self, detail):
        """Return new name → expression in text, its type, its value for rows of the detail."""
        found = {}
        for new in self.chance.sample(["n", "m", "v", "total"], self.chance.choice([1, 1, 2])):
            found[new] = self._aggregate(detail.typed)
        return found

    def _aggregate(self, typed):
        options = [("count(*)", "int", len), ("count(*) + 1", "int", lambda rows: len(rows) + 1)]
        if typed:
            name, kind = self.chance.choice(typed)

            def values(rows):
                return [row[name] for row in rows if row[name] is not None]

            options += [
                (f"count({name})", "int", lambda rows: len(values(rows))),
                (f"count(distinct {name})", "int", lambda rows: len(set(values(rows)))),
            ]
            if kind not in {"bool", "enum"}:
                options += [
                    (f"min({name})", kind, lambda rows: min(values(rows), default=None)),
                    (f"max({name})", kind, lambda rows: max(values(rows), default=None)),
                ]
            if kind in {"int", "float", "decimal"}:
                options += [
                    (f"sum({name})", kind, lambda rows: sum(values(rows)) if values(rows) else None)
                ]
            if kind == "int":
                options += [(f"coalesce(sum({name}), 0)", kind, lambda rows: sum(values(rows)))]
        return self.chance.choice(options)

    def _aggr(self, tree, depth):
        detail = self.related(tree.model)
        computed = self._computed(detail)
        words = {n: text for n, (text, _, _) in computed.items()}
        meaning = {n: (kind, value) for n, (_, kind, value) in computed.items()}
        shown = self.chance.choice([[], [], [...]])
        keeps = self.chance.random() < 0.6
        dots = "..., " if shown else ""
        return (
            f"{tree.text}.aggr({detail.text}, {dots}**{words}, exclude_nonmatching={not keeps})",
            lambda: tree.query.aggr(detail.query, *shown, **words, exclude_nonmatching=not keeps),
            lambda: tree.model.aggregate(detail.model, *shown, computed=meaning, keeps_empty=keeps),
        )

    def _some_names(self, tree, *, least=0):
        names = list(tree.model.names)
        if len(names) < least:
            raise RefusedError
        some = self.chance.sample(names, self.chance.randint(least, min(3, len(names))))
        return [*some, "no_such"] if self.chance.random() < 0.03 else some

    def _distinct(self, tree, depth):
        names = self._some_names(tree, least=1)
        return (
            f"(dj.U({str(names)[1:-1]}) & {tree.text})",
            lambda: dj.U(*names) & tree.query,
            lambda: tree.model.distinct(names),
        )

    def _totals(self, tree, depth):
        names = self._some_names(tree)
        computed = {n: e for n, e in self._computed(tree).items() if n not in names}
        words = {n: text for n, (text, _, _) in computed.items()}
        meaning = {n: (kind, value) for n, (_, kind, value) in computed.items()}
        return (
            f"dj.U({str(names)[1:-1]}).aggr({tree.text}, **{words})",
            lambda: dj.U(*names).aggr(tree.query, **words),
            lambda: tree.model.totals(names, meaning),
        )

    def _promote(self, tree, depth):
        names = self._some_names(tree)
        return (
            f"(dj.U({str(names)[1:-1]}) * {tree.text})",
            lambda: dj.U(*names) * tree.query,
            lambda: tree.model.promoting(names),
        )

    # --- union, top

    def _union(self, tree, depth):
        for _ in range(8):
            other = self.chance.choice(self.known)
            if other.model.key == tree.model.key:
                break
        if self.chance.random() < 0.7:
            queries = [
                (t.query.proj(), t.model.project(), f"{t.text}.proj()") for t in (tree, other)
            ]
            tree, other = (Tree(*q) for q in queries)
        return (
            f"({tree.text} + {other.text})",
            lambda: tree.query + other.query,
            lambda: tree.model.union(other.model),
        )

    def _top(self, tree, depth):
        chance = self.chance
        names = [n for n, kind in tree.typed if kind != "bool"]
        terms = [(n, chance.random() < 0.5) for n in chance.sample(names, min(len(names), 1))]
        is_descending = chance.random() < 0.3
        key = tree.query.primary_key
        order_by = [f"{n} DESC" if d else n for n, d in terms]
        if key:
            order_by.append("KEY DESC" if is_descending else "KEY")
        limit, offset = chance.choice([None, 0, 1, 2, 5]), chance.choice([0, 0, 0, 1, 3])
        terms += [(n, is_descending) for n in key]
        if tree.model.is_ordered and chance.random() < 0.5:
            top, ordered = {"order_by": None}, tree.model
        else:
            top, ordered = {"order_by": order_by or None}, tree.model.order(terms)
        top |= {"limit": limit, "offset": offset}
        return (
            f"({tree.text} & dj.Top(**{top}))",
            lambda: tree.query & dj.Top(**top),
            lambda: ordered.window(limit, offset),
        )


def _common(tree, other):
    return [n for n in tree.model.names if n in other.model.names]


OPERATORS = [
    *["restrict"] * 4,
    *["antirestrict"] * 2,
    *["semijoin"] * 2,
    *["antijoin"] * 2,
    *["join"] * 4,
    *["left_join"] * 2,
    *["proj"] * 4,
    *["aggr"] * 3,
    *["top"] * 2,
    "distinct",
    "promote",
    "totals",
    "unchecked_join",
    "unchecked_restrict",
    "union",
]
