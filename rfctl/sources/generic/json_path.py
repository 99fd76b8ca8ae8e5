"""Paths into JSON: `data.messages.0.text`, `entry.*.messaging.*`, `^id`. Pure.

A path that leads to nothing is no error: the body is a stranger's. The functions on bytes raise UnparsedError for JSON
that is nested too deeply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rfctl.sources.parsing import decode_part

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


_STRANGE = re.compile(r"\*+|\$|\^|\S*\[[^\]]*\]|\s.*|.*\s")
"""A step in the spelling of another kind of path. No name of a JSON field is like that."""
_BEGIN = re.compile(r"/|\^*")
ABSENT: tuple[Any, ...] = (None, "")
"""The values that are as good as none."""
Place = tuple[int, tuple[str, ...]]
"""A path as it is followed: from which of the values around the element, and by which steps."""


@dataclass(frozen=True, slots=True)
class Path:
    """Names, list indexes, and `*` for every element of a list.

    A path goes from the element that `each` leads to. `from_top` ones begin with `/`, and a `/` alone is the whole body.
    `up` counts the `^` in front of one: each leads to the element of the `*` before.
    """

    steps: tuple[str, ...]
    from_top: bool = False
    up: int = 0

    @staticmethod
    def find_fault(text: object, *, stars: int = 0) -> str:
        """Return what is wrong with a value as a path of at most `stars` `*`, and what to write; "" when it is one."""
        if not isinstance(text, str):
            return "is no path: write names and list indexes between dots, in quotes"
        begin, rest = _split(text)
        if text != "/" and not (rest and all(rest.split("."))):
            return "is no path: names and list indexes between dots, as in data.messages.0.text"
        steps = rest.split(".")
        if 0 < steps.count("*") <= stars:
            steps = [step for step in steps if step != "*"]
        strange = next((step for step in steps if _STRANGE.fullmatch(step)), "")
        is_pointer = begin == "/" and "/" in rest
        if not (strange or is_pointer):
            return ""
        fault = f"can never match: `{strange or rest}` is no name of a field"
        if "*" in strange and not stars:
            return (
                f"{fault}. Write an index for it, as in {_respell(rest)}, or the path of the list as `each`"
            )
        return f"{fault}. Write {_respell(rest, '*' if stars else '0')}"

    @classmethod
    def parse(cls, text: str) -> Path:
        """Return the path behind a text."""
        begin, rest = _split(text)
        return cls(tuple(rest.split(".")) if rest else (), from_top=begin == "/", up=begin.count("^"))

    def find_place(self, depth: int) -> Place:
        """Return it as it is followed from an element below `depth` lists."""
        return (0 if self.from_top else depth - self.up), self.steps


def _split(text: str) -> tuple[str, str]:
    match = _BEGIN.match(text)
    begin = match[0] if match else ""
    return begin, text[len(begin) :]


def _respell(path: str, star: str = "0") -> str:
    """Return a path of another kind (JSONPath, JSON Pointer) as one of ours."""
    dotted = re.sub(r"\[['\"]?([^\]'\"]*)['\"]?\]", r".\1", path).replace("/", ".")
    steps = (re.sub(r"\*+", star, step.strip()) for step in dotted.split("."))
    return ".".join(step for step in steps if step and step != "$") or "names between dots"


def find_value(value: Any, steps: Sequence[str]) -> Any:
    """Return the value at a place of decoded JSON; None when there is none."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and _is_index(step, len(value)):
            value = value[int(step)]
        else:
            return None
    return value


def find_first(stack: Sequence[Any], places: Sequence[Place]) -> Any:
    """Return the first value at these places that is something; None where there is none. `stack` is around an element."""
    for base, steps in places:
        value = find_value(stack[base], steps)
        if value not in ABSENT:
            return value
    return None


def find_raw(raw: bytes, steps: Sequence[str]) -> bytes | None:
    """Return the bytes at a place of valid JSON; None when there are none."""
    value: bytes | None = raw.strip()
    for step in steps:
        value = _parts(value or b"").get(step)
    return value


def replace_raw(raw: bytes, steps: Sequence[str], value: bytes) -> bytes:
    """Return the JSON with other bytes at a place that it has."""
    if not steps:
        return value
    parts = _parts(raw.strip())
    parts[steps[0]] = replace_raw(parts[steps[0]], steps[1:], value)
    if raw.strip().startswith(b"["):
        return msgspec.json.encode([msgspec.Raw(part) for part in parts.values()])
    return msgspec.json.encode({name: msgspec.Raw(part) for name, part in parts.items()})


def _parts(raw: bytes) -> dict[str, bytes]:
    if raw.startswith(b"{"):
        return {name: bytes(part) for name, part in decode_part(raw, _decode_object).items()}
    if raw.startswith(b"["):
        return {str(place): bytes(part) for place, part in enumerate(decode_part(raw, _decode_list))}
    return {}


def is_index(step: str) -> bool:
    """Say whether a step may be the index of a list."""
    return step.isascii() and step.isdigit() and len(step) < 10 and step == str(int(step))


def _is_index(step: str, size: int) -> bool:
    return is_index(step) and int(step) < size
