"""Paths into JSON: `data.messages.0.text`. Pure.

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


_STRANGE = re.compile(r"\*+|\$|\S*\[[^\]]*\]|\s.*|.*\s")
"""A step in the spelling of another kind of path. No name of a JSON field is like that."""


@dataclass(frozen=True, slots=True)
class Path:
    """Names and list indexes. `from_top` paths begin with `/`; a `/` alone is the whole body."""

    steps: tuple[str, ...]
    from_top: bool = False

    @staticmethod
    def find_fault(text: str) -> str:
        """Return what is wrong with a text as a path, and what to write; "" when it is one."""
        rest = text.removeprefix("/")
        if text != "/" and not (rest and all(rest.split("."))):
            return "is no path: names and list indexes between dots, as in data.messages.0.text"
        strange = next((step for step in rest.split(".") if _STRANGE.fullmatch(step)), "")
        is_pointer = text.startswith("/") and "/" in rest
        if not (strange or is_pointer):
            return ""
        fault = f"can never match: `{strange or rest}` is no name of a field"
        if "*" in strange:
            return (
                f"{fault}. Write an index for it, as in {_respell(rest)}, or the path of the list as `each`"
            )
        return f"{fault}. Write {_respell(rest)}"

    @classmethod
    def parse(cls, text: str) -> Path:
        """Return the path behind a text."""
        rest = text.removeprefix("/")
        return cls(tuple(rest.split(".")) if rest else (), from_top=text.startswith("/"))


def _respell(path: str) -> str:
    """Return a path of another kind (JSONPath, JSON Pointer) as one of ours."""
    dotted = re.sub(r"\[['\"]?([^\]'\"]*)['\"]?\]", r".\1", path).replace("/", ".")
    steps = (re.sub(r"\*+", "0", step.strip()) for step in dotted.split("."))
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


def _is_index(step: str, size: int) -> bool:
    return (
        step.isascii() and step.isdigit() and len(step) < 10 and int(step) < size and step == str(int(step))
    )
