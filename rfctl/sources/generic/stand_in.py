"""Writes bodies for a source of type generic: one of its own forms, or what the paths of its map lead to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rfctl.sources.contract import Request
from rfctl.sources.generic.conditions import ANY
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.elements import split_lists
from rfctl.sources.generic.json_path import Path, is_index
from rfctl.sources.generic.map_check import OTHERS, drop_empty
from rfctl.sources.generic.node_form import sign
from rfctl.sources.stand_ins import Script, StandIn
from rfctl.sources.whatsapp_web import find_type

_MANY = "*"


class NodeFormStandIn(StandIn):
    """The stand-in of the two generic forms. Alone among all it can say that its messages are simulated."""

    def build_body(self, script: Script) -> bytes:
        """Return the form of one message."""
        form = {"from": script.phone, "message": script.text, "messageId": script.id, "simulated": True}
        return msgspec.json.encode(form)

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:
        """Return the signature of the Node service."""
        now = str(now_ms)
        signature = sign(secret, request.method, request.path, now, request.body)
        return {"X-Timestamp": now, "X-Signature": signature}


class MappedStandIn(StandIn):
    """The stand-in of a map. It puts each fact where the map looks for it, and leaves all else out."""

    def __init__(self, config: GenericConfig) -> None:
        super().__init__(config)
        self._map = drop_empty(config.map)
        self._lists = split_lists(self._map.get("each", ""))

    def build_body(self, script: Script) -> bytes:
        """Return a body with one message. Raises ValueError where the map has no id to know it by."""
        if "id" not in self._map:
            raise ValueError("its map has no id, so nobody could tell which message is which")
        body = _Body(self._lists)
        kind = self._find_text_type()
        for condition in _list_wanted(self._map):
            for path, value in condition.items():
                body.put(path, value)
        if "event" in self._map:
            body.put(self._choose_path("event", kind), next(iter(self._map.get("messages", [])), ""))
        if kind and "type" in self._map:
            body.put(self._choose_path("type", kind), self._spell_type(kind))
        facts = {"account": self._account, "name": "Simulated", "time": script.at_s}
        facts |= {"id": script.id, "phone": script.phone, "text": script.text}
        for key, value in facts.items():
            if key in self._map:
                body.put(self._choose_path(key, kind), value)
        return msgspec.json.encode(body.top)

    def _find_text_type(self) -> str:
        """Return the type that a text must have for the map to find its words, "" where it needs none."""
        text = self._map.get("text")
        if not isinstance(text, dict) or OTHERS in text:
            return ""
        return "text" if "text" in text else next(iter(text))

    def _spell_type(self, kind: str) -> str:
        """Return what the sender calls our type."""
        types: Mapping[str, str] = self._map.get("types", {})
        return next((name for name, ours in types.items() if find_type(ours) == kind), kind)

    def _choose_path(self, key: str, kind: str) -> str:
        """Return the first path of a fact, for a message of this type."""
        written = self._map[key]
        if isinstance(written, dict):
            written = written.get(kind) or written.get(OTHERS) or ""
        return (written[0] if written else "") if isinstance(written, list) else written


def _list_wanted(mapping: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what `only_if` wants, as values by path: the first of what it would take."""
    wanted = mapping.get("only_if")
    if isinstance(wanted, list):
        wanted = wanted[0]
    if wanted is None:
        return []
    if isinstance(wanted, str):
        return [{wanted: True}]
    firsts = {path: value[0] if isinstance(value, list) else value for path, value in wanted.items()}
    return [{path: "x" if value == ANY else value for path, value in firsts.items()}]


class _Body:
    """A body that grows: an object in each list of the map, and the values in them."""

    def __init__(self, lists: list[tuple[str, ...]]) -> None:
        self.top: Any = {}
        self._stack: list[Any] = [self.top]
        for steps in lists:
            inner: dict[str, Any] = {}
            if steps:
                _put(self._stack[-1], steps, [inner])
            else:
                self.top = [inner]
            self._stack.append(inner)
        self._stack[0] = self.top

    def put(self, path: str, value: Any) -> None:
        """Put a value where a path leads. An empty path leads nowhere."""
        if not path:
            return
        base, steps = Path.parse(path).find_place(len(self._stack) - 1)
        if steps and isinstance(self._stack[base], dict):
            _put(self._stack[base], steps, value)


def _put(container: Any, steps: tuple[str, ...], value: Any) -> None:
    """Put a value at a place below an object. What is on the way is made; a number is the index of a list."""
    for place, step in enumerate(steps[:-1]):
        follows = steps[place + 1]
        empty: Any = [] if is_index(follows) or follows == _MANY else {}
        container = _enter(container, step, empty)
    _enter(container, steps[-1], value, is_last=True)


def _enter(container: Any, step: str, value: Any, *, is_last: bool = False) -> Any:
    """Return what is one step further; `value` is put there if nothing is, or at the end of the way."""
    if not isinstance(container, list):
        if is_last or not isinstance(container.get(step), dict | list):
            container[step] = value
        return container[step]
    index = 0 if step == _MANY else int(step)
    container.extend({} for _ in range(index + 1 - len(container)))
    if is_last or not container[index]:
        container[index] = value
    return container[index]


def build_stand_in(config: GenericConfig) -> StandIn:
    """Return the stand-in of these settings."""
    return MappedStandIn(config) if config.map else NodeFormStandIn(config)
