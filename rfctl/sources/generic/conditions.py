"""Conditions on the values of a body: what is skipped, and as what it counts. Pure, but for the names of the events seen.

A path alone holds where its value is true. A table holds where each of its paths has one of its values, and a list where
any of its parts holds:

    own_if = "fromMe"
    own_if = { message_type = ["outgoing", "template"] }
    event_if = ["typing", { type = "presence", state = "*" }]

`*` stands for any value, and an empty text for none. Numbers and booleans are compared as JSON spells them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rfctl.sources.generic.json_path import Path, Place, find_first, find_value

SKIP_KEYS = {
    "skip_if": "own",
    "own_if": "own",
    "status_if": "status",
    "event_if": "event",
    "error_if": "error",
}
"""The keys of a map that say what is skipped, and the kind that each counts as."""
ANY, NONE = "*", ""
NO_LIST_KIND = "event:no_list"
"""The kind of a body in which `each` leads to no list."""

_FALSE: tuple[Any, ...] = (None, False, 0, "", "0", "false", [], {})
_NOT_OF_A_NAME = re.compile(r"[^a-z0-9_.-]+")
_MOST_NAMES = 24
_LONGEST_NAME = 40

Stack = Sequence[Any]
"""The values around an element: the body, the element of each list that leads to it, and itself last."""


def spell(value: Any) -> str | None:
    """Return a value as a condition writes it; "" when there is none, None for a list or an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None if value else NONE


@dataclass(frozen=True, slots=True)
class _Test:
    """One path and its values; without any the value only has to be true."""

    base: int
    steps: tuple[str, ...]
    values: frozenset[str] | None

    def holds(self, stack: Stack) -> bool:
        value = find_value(stack[self.base], self.steps)
        if self.values is None:
            return value not in _FALSE
        spelling = spell(value)
        return spelling in self.values or (spelling != NONE and ANY in self.values)


@dataclass(frozen=True, slots=True)
class Condition:
    """Tests of which all must hold, in several groups of which any may."""

    groups: tuple[tuple[_Test, ...], ...]

    @classmethod
    def compile(cls, written: Any, depth: int) -> Condition:
        """Return what a map says, for elements below `depth` lists."""
        parts = written if isinstance(written, list) else [written]
        return cls(tuple(_compile_group(part, depth) for part in parts))

    def holds(self, stack: Stack) -> bool:
        """Say whether an element meets it."""
        return any(all(test.holds(stack) for test in group) for group in self.groups)

    def holds_of_body(self, body: Any) -> bool:
        """Say whether a body without elements meets it, by tests from the top alone."""
        at_top = [group for group in self.groups if not any(test.base for test in group)]
        return any(all(test.holds([body]) for test in group) for group in at_top)

    @property
    def places(self) -> list[Place]:
        """Where it looks."""
        return [(test.base, test.steps) for group in self.groups for test in group]


def _compile_group(part: Any, depth: int) -> tuple[_Test, ...]:
    if isinstance(part, str):
        return (_Test(*Path.parse(part).find_place(depth), None),)
    return tuple(
        _Test(*Path.parse(path).find_place(depth), spell_all(values)) for path, values in part.items()
    )


def compile_places(written: Any, depth: int) -> list[Place]:
    """Return a path, or several, as they are followed from elements below `depth` lists."""
    paths = written if isinstance(written, list) else [written]
    return [Path.parse(path).find_place(depth) for path in paths]


def spell_all(values: Any) -> frozenset[str]:
    """Return the values of a condition as they are compared."""
    listed = values if isinstance(values, list) else [values]
    return frozenset(spelling for value in listed if (spelling := spell(value)) is not None)


class EventNames:
    """Names events for the counters. A stranger cannot make many: after the first ones all others are `other`."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def count_as(self, value: Any) -> str:
        """Return the kind that an event of this name counts as."""
        spelling = spell(value) or ""
        name = _NOT_OF_A_NAME.sub("_", spelling.lower())[:_LONGEST_NAME].strip("_.-") or "unnamed"
        if len(self._names) >= _MOST_NAMES and name not in self._names:
            name = "other"
        return self._names.setdefault(name, f"event:{name}")


class Skips:
    """Decides which elements are no messages of a person, by the conditions and the event of a map."""

    def __init__(self, mapping: Mapping[str, Any], depth: int) -> None:
        self._skips = [
            (kind, Condition.compile(mapping[key], depth))
            for key, kind in SKIP_KEYS.items()
            if key in mapping
        ]
        self._only = Condition.compile(mapping["only_if"], depth) if "only_if" in mapping else None
        self._events = compile_places(mapping.get("event", []), depth)
        self._messages = spell_all(mapping.get("messages", []))
        self._names = EventNames()
        self.find_kind: Callable[[Stack], str] | None = (
            self._find_kind if self._skips or self._only or self._events else None
        )
        """Returns the kind that an element is skipped as, "" for a message. None: this map skips nothing."""

    def find_condition_of_body(self, body: Any) -> str:
        """Return the kind of the condition that a body without messages meets; "" where it meets none."""
        return next((kind for kind, condition in self._skips if condition.holds_of_body(body)), "")

    def is_own_alone(self, stack: Stack) -> bool:
        """Say whether no condition but that of our own words holds of an element: it is no event, and no status."""
        others = [condition for kind, condition in self._skips if kind != "own"]
        return not any(condition.holds(stack) for condition in others) and (
            self._only is None or self._only.holds(stack)
        )

    @property
    def places(self) -> list[Place]:
        """Where the conditions look."""
        conditions = [condition for _, condition in self._skips] + ([self._only] if self._only else [])
        return [place for condition in conditions for place in condition.places] + self._events

    def _find_kind(self, stack: Stack) -> str:
        if self._events and (kind := self._find_event(self._events, stack)):
            return kind
        for kind, condition in self._skips:
            if condition.holds(stack):
                return kind
        return "" if self._only is None or self._only.holds(stack) else "event"

    def _find_event(self, places: Sequence[Place], stack: Stack) -> str:
        value = find_first(stack, places)
        return "" if spell(value) in self._messages else self._names.count_as(value)

    def find_kind_of_body(self, body: Any) -> str:
        """Return the kind that a body without messages is skipped as; "" where it says that it has some.

        Where no name tells what it is, `no_list` does: all bodies are like that if the path of the list is wrong.
        """
        at_top = [place for place in self._events if place[0] == 0]
        return self._find_event(at_top, [body]) if at_top else NO_LIST_KIND
