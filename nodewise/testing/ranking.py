"""Nodes by how many tasks they run, least first, without sorting them again for every task."""

from __future__ import annotations

from collections.abc import Iterator

from nodewise.testing.records import Node


class Ranking:
    """Kept up to date as tasks come and go."""

    def __init__(self) -> None:
        self._levels: list[dict[Node, None]] = []

    def add(self, node: Node) -> None:
        while len(self._levels) <= node.active:
            self._levels.append({})
        self._levels[node.active][node] = None

    def discard(self, node: Node) -> None:
        if node.active < len(self._levels):
            self._levels[node.active].pop(node, None)

    def changed(self, node: Node, by: int) -> None:
        """*node* runs *by* more tasks than before. One that is not ranked is only counted."""
        ranked = node.active < len(self._levels) and node in self._levels[node.active]
        if ranked:
            del self._levels[node.active][node]
        node.active += by
        if ranked:
            self.add(node)

    def __iter__(self) -> Iterator[Node]:
        """From the least busy to the busiest."""
        for level in self._levels:
            yield from level
