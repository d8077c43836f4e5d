"""YAML with the line on which each thing stands, and with the keys that stand there twice: YAML itself would take the
last one without a word. Knows nothing of what the file is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. ``lines``: by path, from 1. ``twice``: paths of keys that were given before."""

    data: Any
    lines: dict[Path, int] = field(default_factory=dict)
    twice: tuple[tuple[Path, int], ...] = ()

    def line(self, path: Path) -> int:
        """Where *path* stands, or the nearest thing around it; 0 where that is unknown."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


class _Loader(yaml.SafeLoader):
    """The safe loader, to which a tag that it does not know means nothing: stack files may hold some."""


def read(text: str) -> Document:
    """Raises yaml.YAMLError."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None)
        lines: dict[Path, int] = {}
        twice = tuple(_walk(node, (), lines, set()))
        return Document(loader.construct_document(node), lines, twice)
    finally:
        loader.dispose()


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], seen: set[int]) -> Iterator[tuple[Path, int]]:
    """Note lines, yield what is given twice. What an alias repeats is where it was first."""
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, index), lines, seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in keys and name != "<<":
                yield (*path, name), key.start_mark.line + 1
            keys.add(name)
            lines[*path, name] = key.start_mark.line + 1
            yield from _walk(value, (*path, name), lines, seen)


def _untagged(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_multi_constructor("!", _untagged)
