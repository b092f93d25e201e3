"""What is due, as the scheduler asks for it: ids, parents, parts and renamed references."""

from __future__ import annotations

import pytest

import djq as dj
from djq.orchestrator.planning import DatabasePlan
from djq.orchestrator.states import Find

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def tables(schema):
    @schema
    class Scan(dj.Manual):
        definition = """
        subject : varchar(8)
        scan    : int32
        """

    @schema
    class Cell(dj.Computed):
        definition = """
        -> Scan
        ---
        n : int32
        """

        class Trace(dj.Part):
            definition = """
            -> master
            trace : int32
            """

        def make(self, key):
            self.insert1({**key, "n": 2})
            self.Trace.insert({**key, "trace": i} for i in range(2))

    @schema
    class Pair(dj.Computed):
        definition = """
        -> Cell.proj(first="scan")
        -> Cell.proj(second="scan")
        """

        def make(self, key):
            self.insert1(key)

    @schema
    class Spectrum(dj.Computed):
        definition = """
        -> Cell.Trace
        """

        def make(self, key):
            self.insert1(key)

    Scan.insert([("a", 1), ("a", 2), ("b", 1)])
    return {t.spec.display_name.split(".")[1]: t for t in (Cell, Pair, Spectrum)}


def plan_of(tables, *names: str, restrictions=()) -> DatabasePlan:
    chosen = [tables[name] for name in names or tables]
    return DatabasePlan({t.spec.display_name: t for t in chosen}, restrictions)


def name(tables, table: str) -> str:
    return tables[table].spec.display_name


def test_places_know_levels_and_who_makes_their_parents(tables) -> None:
    places = {place.table.split(".")[1]: place for place in plan_of(tables).places}
    cell = name(tables, "Cell")
    assert (places["Cell"].level, places["Cell"].parents) == (0, ())
    # A part's rows are made by its master.
    assert (places["Spectrum"].level, places["Spectrum"].parents) == (1, (cell,))
    assert (places["Pair"].level, places["Pair"].parents) == (1, (cell,))


def test_due_keys_are_ids_in_order_page_by_page(tables) -> None:
    plan, cell = plan_of(tables), name(tables, "Cell")
    assert plan.find(Find(cell, 2)) == ('["a",1]', '["a",2]')
    assert plan.find(Find(cell, 2, after='["a",2]')) == ('["b",1]',)


def test_a_restriction_holds_for_every_search(tables) -> None:
    plan = plan_of(tables, "Cell", restrictions=[{"subject": "a"}, "scan > 1"])
    assert plan.find(Find(name(tables, "Cell"), 9)) == ('["a",2]',)


def test_it_knows_which_keys_meet_the_restrictions(tables) -> None:
    cell, keys = name(tables, "Cell"), ['["a",1]', '["a",2]', '["b",1]']
    tables["Cell"].populate()
    assert plan_of(tables).within(cell, keys) == keys
    restricted = plan_of(tables, "Cell", restrictions=[{"subject": "a"}, "scan > 1"])
    assert restricted.within(cell, keys) == ['["a",2]']


def test_children_are_searched_among_the_keys_of_a_parents_part(tables) -> None:
    tables["Cell"].populate()
    plan, cell = plan_of(tables), name(tables, "Cell")
    found = plan.find(Find(name(tables, "Spectrum"), 9, parent=cell, among=('["a",2]',)))
    assert found == ('["a",2,0]', '["a",2,1]')


def test_renamed_references_are_followed_one_by_one(tables) -> None:
    tables["Cell"].populate()
    plan, cell = plan_of(tables), name(tables, "Cell")
    found = plan.find(Find(name(tables, "Pair"), 9, parent=cell, among=('["a",2]',)))
    assert found == ('["a",1,2]', '["a",2,1]', '["a",2,2]')


def test_a_buried_key_is_an_error_that_is_not_due(tables) -> None:
    plan, cell = plan_of(tables), name(tables, "Cell")
    plan.bury(cell, '["a",1]', 3)
    assert plan.find(Find(cell, 9)) == ('["a",2]', '["b",1]')
    message = tables["Cell"].jobs.errors.fetch1("error_message")
    assert "died 3 times" in message
    assert "'subject': 'a'" in message


def test_a_key_is_shown_by_its_names(tables) -> None:
    assert plan_of(tables).show(name(tables, "Cell"), '["a",1]') == {"subject": "a", "scan": 1}


class TestInserted:
    """Keys that were inserted into tables of any kind, under their names on the server."""

    @pytest.fixture
    def more(self, schema):
        @schema
        class Method(dj.Lookup):
            definition = "method : int32"
            contents = ((1,), (2,))

        @schema
        class Animal(dj.Manual):
            definition = "subject : varchar(8)"

        @schema
        class Trial(dj.Manual):
            definition = """
            -> Animal
            trial : int32
            """

        @schema
        class Score(dj.Computed):
            definition = """
            -> Animal.proj(who="subject")
            -> Method
            """

            def make(self, key):
                self.insert1(key)

        @schema
        class Summary(dj.Computed):
            definition = "-> Animal"

            @property
            def key_source(self):
                return Animal & Trial & Method

            def make(self, key):
                self.insert1(key)

        Animal.insert([("a",), ("b",)])
        Trial.insert([("a", 1), ("a", 2), ("b", 1)])
        return {t.__name__: t for t in (Method, Animal, Trial, Score, Summary)}

    @staticmethod
    def found(more, table, source, *among):
        plan = plan_of(more, "Score", "Summary")
        search = Find(name(more, table), 9, parent=str(more[source].spec.name), among=among)
        return plan.find(search)

    def test_keys_of_a_renamed_reference_are_found(self, more) -> None:
        assert self.found(more, "Score", "Animal", '["a"]') == ('["a",1]', '["a",2]')

    def test_keys_of_a_narrower_table_are_found(self, more) -> None:
        assert self.found(more, "Score", "Method", "[2]") == ('["a",2]', '["b",2]')

    def test_keys_of_a_wider_table_are_found(self, more) -> None:
        found = self.found(more, "Summary", "Trial", '["b",1]', '["b",2]')
        assert found == ('["b"]',)

    def test_keys_of_another_table_of_this_name_are_passed_over(self, more) -> None:
        assert self.found(more, "Summary", "Trial", '["b"]') == ()

    def test_places_know_which_tables_tell_their_keys(self, more) -> None:
        places = {p.table.split(".")[1]: p for p in plan_of(more, "Score", "Summary").places}
        names = {n: str(more[n].spec.name) for n in more}
        assert places["Score"].sources == {names["Animal"]: True, names["Method"]: True}
        assert places["Summary"].sources == {
            names["Animal"]: True,
            names["Trial"]: True,
            names["Method"]: False,
        }
