"""Tables and their dependencies as a graph: levels, ancestors, descendants."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from djq.errors import DefinitionError

Node = TypeVar("Node", bound=Hashable)


def levels(parents: Mapping[Node, Iterable[Node]]) -> list[list[Node]]:
    """Return the nodes level by level, each after all of its parents.

    Nodes that only occur as parents are left out.

    Raises
    ------
    DefinitionError
        The dependencies form a circle.
    """
    sorter = TopologicalSorter(
        {n: [p for p in ps if p in parents and p != n] for n, ps in parents.items()}
    )
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " → ".join(str(n) for n in error.args[1])
        message = f"the tables depend on each other in a circle: {circle}"
        raise DefinitionError(message) from error
    found: list[list[Node]] = []
    order = {node: i for i, node in enumerate(parents)}
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=order.__getitem__)
        found.append(ready)
        sorter.done(*ready)
    return found


def ancestors(node: Node, parents: Mapping[Node, Iterable[Node]]) -> set[Node]:
    """Return everything that `node` depends on, directly or not, without itself."""
    found: set[Node] = set()
    waiting = list(parents.get(node, ()))
    while waiting:
        current = waiting.pop()
        if current not in found and current != node:
            found.add(current)
            waiting.extend(parents.get(current, ()))
    return found


def reverse(parents: Mapping[Node, Iterable[Node]]) -> dict[Node, list[Node]]:
    """Return the graph with all arrows turned round: nodes and their children."""
    children: dict[Node, list[Node]] = {node: [] for node in parents}
    for node, its_parents in parents.items():
        for parent in its_parents:
            children.setdefault(parent, []).append(node)
    return children


def reached(
    nodes: Iterable[Node], neighbours: Mapping[Node, Iterable[Node]], steps: int
) -> set[Node]:
    """Return `nodes` and all that at most `steps` arrows lead to from them."""
    found = set(nodes)
    front = found
    for _ in range(steps):
        front = {n for node in front for n in neighbours.get(node, ())} - found
        if not front:
            break
        found |= front
    return found


def components(nodes: Iterable[Node], edges: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Return the parts that no edge connects, large ones first, nodes in the given order."""
    near: dict[Node, list[Node]] = {n: [] for n in nodes}
    for first, second in edges:
        near[first].append(second)
        near[second].append(first)
    part_of: dict[Node, int] = {}
    for number, node in enumerate(near):
        waiting = [node]
        while waiting:
            current = waiting.pop()
            if current not in part_of:
                part_of[current] = number
                waiting += near[current]
    parts: dict[int, list[Node]] = {}
    for node in near:
        parts.setdefault(part_of[node], []).append(node)
    return sorted(parts.values(), key=len, reverse=True)
