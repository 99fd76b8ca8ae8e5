"""The messages of a body: lists inside lists, and what stands beside them. Pure.

`entry.*.messaging.*` leads to each message of each entry. What is left aside on the way is counted: another list of
objects beside that one, an entry without it. An element that is no object is no message, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rfctl.model.message import Unparsed
from rfctl.sources.contract import UnparsedError
from rfctl.sources.generic.json_path import Path, Place, find_raw, is_index, replace_raw
from rfctl.sources.parsing import build_unparsed, decode_part

_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
NO_LIST = "there is no list of messages at `each`"


@dataclass(eq=False, slots=True)
class _Level:
    """A list of a body: the object `raw` that has it at `steps`, and the list in which that object is an element.

    `beside` counts the objects in other lists on the way to it.
    """

    raw: bytes
    steps: tuple[str, ...]
    parent: _Level | None
    depth: int
    beside: int
    _around: bytes = b""

    def rebuild(self, elements: Iterable[bytes]) -> bytes:
        """Return the object with only these elements in its list: to make many must not read the others each time."""
        self._around = self._around or replace_raw(self.raw, self.steps, b"[]")
        return replace_raw(self._around, self.steps, b"[" + b",".join(elements) + b"]")


@dataclass(slots=True)
class Element:
    """A message as it came, the values around it with itself as the last, and its places in the lists."""

    raw: bytes
    stack: list[Any]
    places: tuple[int, ...]
    level: _Level | None

    def name_place(self) -> str:
        """Return which message of the body it is, for a person."""
        return f"message {'.'.join(map(str, self.places))}: "


@dataclass(slots=True)
class Elements:
    """The messages of a body. `missing` says that it has no list of them.

    `strange` has what should have a list, and has something else in its place. `unread` counts the elements without one.
    """

    messages: list[Element] = field(default_factory=list)
    strange: list[Element] = field(default_factory=list)
    levels: list[_Level] = field(default_factory=list)
    unread: int = 0
    missing: bool = False

    def count_unread(self, refused: Sequence[tuple[Element, str]]) -> int:
        """Return how many objects are left aside; what stands around a refused message is kept with it."""
        kept: set[_Level | None] = set()
        for element, _ in refused:
            level = element.level
            while level is not None:
                kept.add(level)
                level = level.parent
        return self.unread + sum(level.beside for level in self.levels if level not in kept)


def split_lists(each: str) -> list[tuple[str, ...]]:
    """Return the steps to each list of a path, from the element of the list before; [] without a path."""
    if not each:
        return []
    steps = Path.parse(each).steps
    steps = steps if steps[-1:] == ("*",) else (*steps, "*")
    lists: list[tuple[str, ...]] = []
    while steps:
        star = steps.index("*")
        lists.append(steps[:star])
        steps = steps[star + 1 :]
    return lists


class Walk:
    """Finds the messages of bodies. `read` are the places where the map looks: what is there is not left aside."""

    def __init__(self, lists: Sequence[tuple[str, ...]], read: Iterable[Place]) -> None:
        self._lists = lists
        self._read = {(base, steps[:end]) for base, steps in read for end in range(1, len(steps) + 1)}

    def find_elements(self, body: bytes, top: Any) -> Elements:
        """Return the messages of a body, which is decoded already. Raises UnparsedError for one of another shape.

        The map has an `each`: without one the whole body is the message.
        """
        elements = Elements()
        self._descend(Element(body, [top], (), None), elements)
        return elements

    def _descend(self, outer: Element, elements: Elements) -> None:
        depth = len(outer.places)
        steps = self._lists[depth]
        if not (depth or steps) and isinstance(outer.stack[0], dict):
            self._descend_alone(outer, elements)
            return
        values = _find_list(outer.stack[-1], steps)
        if values is None:
            elements.missing |= depth == 0
            elements.unread += depth > 0
            return
        parts = decode_part(find_raw(outer.raw, steps) or b"[]", _decode_list)
        level = _Level(outer.raw, steps, outer.level, depth, self._count_beside(outer.stack[-1], depth))
        elements.levels.append(level)
        for place, (value, part) in enumerate(zip(values, parts, strict=True)):
            inner = Element(bytes(part), [*outer.stack, value], (*outer.places, place), level)
            self._take(inner, elements)

    def _descend_alone(self, body: Element, elements: Elements) -> None:
        """Read a body that is an object where `each` begins with a list: some send a single one without its list."""
        level = _Level(b"[]", (), None, 0, 0)
        elements.levels.append(level)
        self._take(Element(body.raw, [*body.stack, body.stack[0]], (0,), level), elements)

    def _take(self, element: Element, elements: Elements) -> None:
        if len(element.places) == len(self._lists):
            elements.messages.append(element)
        else:
            try:
                self._descend(element, elements)
            except UnparsedError:
                elements.strange.append(element)

    def _count_beside(self, value: Any, depth: int) -> int:
        """Return how many objects are in other lists on the way to the list of messages."""
        steps, unread = self._lists[depth], 0
        for end, step in enumerate(steps):
            names = value if isinstance(value, dict) else map(str, range(len(value)))
            for name in names:
                inner = value[name] if isinstance(value, dict) else [value[int(name)]]
                if name != step and (depth, (*steps[:end], name)) not in self._read:
                    unread += count_objects(inner)
            value = _step(value, step)
            if value is None:
                break
        return unread


def count_objects(value: Any) -> int:
    """Return how many objects are in a list; 0 for anything else."""
    return sum(isinstance(item, dict) for item in value) if isinstance(value, list) else 0


def _step(value: Any, step: str) -> Any:
    """Return what is one step further; None where nothing is. Raises UnparsedError where no step can be made."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and is_index(step):
        return value[int(step)] if int(step) < len(value) else None
    raise UnparsedError(NO_LIST)


def _find_list(value: Any, steps: Sequence[str]) -> list[Any] | None:
    """Return the list at a place, None where the place is not there. Raises UnparsedError where something else is."""
    for step in steps:
        value = _step(value, step)
        if value is None:
            return None
    if not isinstance(value, list):
        raise UnparsedError(NO_LIST)
    return value


def keep_apart(refused: Sequence[tuple[Element, str]]) -> list[Unparsed]:
    """Return each refused message in a body of its own, which can be parsed again; together where copies would be large."""
    return build_unparsed(refused, _build_body)


def _build_body(elements: Sequence[Element]) -> bytes:
    """Return a body like theirs with only these elements in its lists."""
    kept: dict[_Level, list[bytes]] = {}
    for element in elements:
        if element.level is not None:
            kept.setdefault(element.level, []).append(element.raw)
    while True:
        level = max(kept, key=lambda other: other.depth)
        whole = level.rebuild(kept.pop(level))
        if level.parent is None:
            return whole
        kept.setdefault(level.parent, []).append(whole)
