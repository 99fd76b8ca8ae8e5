"""Parses TOML files, environment variables and credentials into dotted names, values and lines. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rfctl.config.options import NAMED

_SECTION_LINE = re.compile(r"\s*\[\s*([\w.\s\"'-]+?)\s*\]\s*(#.*)?$")
_KEY_LINE = re.compile(r"\s*([\w.\s\"'-]+?)\s*=")
_NOT_IN_NAMES = re.compile(r"[\s\"']")


class TomlLocations:
    """The line of each setting and section in a TOML text, by dotted name."""

    def __init__(self, text: str) -> None:
        self._lines: dict[str, int] = {}
        section = ""
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _SECTION_LINE.match(line):
                section = _NOT_IN_NAMES.sub("", header[1])
                self._lines.setdefault(section, number)
            elif key := _KEY_LINE.match(line):
                name = _NOT_IN_NAMES.sub("", key[1])
                self._lines.setdefault(f"{section}.{name}" if section else name, number)

    def of(self, name: str) -> str:
        """Return the line that sets this, else the first inside it, else the line of its section."""
        inside = [number for place, number in self._lines.items() if place.startswith(f"{name}.")]
        if name in self._lines or inside:
            return str(self._lines.get(name) or min(inside))
        return self.of(name.rpartition(".")[0]) if "." in name else "?"


def list_sections(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted names of the sections that the operator has named; an empty one too."""
    for section in NAMED:
        inner = table.get(section)
        for name, settings in inner.items() if isinstance(inner, dict) else ():
            if isinstance(settings, dict):
                yield f"{section}.{name}"


def list_values(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield dotted names and their values: sections are opened, tables that are one setting's value are not."""
    for section, inner in table.items():
        if section in NAMED and isinstance(inner, dict):
            for name, settings in inner.items():
                yield from _of_section(f"{section}.{name}", settings)
        else:
            yield from _of_section(section, inner)


def _of_section(section: str, inner: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(inner, dict):
        for key, value in inner.items():
            yield f"{section}.{key}", value
    else:
        yield section, inner


def parse_text(kind: str, text: str) -> Any:
    """Read a variable or a credential, which is text; a list may be written as JSON, a table must be."""
    start = text.lstrip()[:1]
    if (
        kind == "table"
        or (kind.startswith("list") and start == "[")
        or (kind.endswith("table") and start == "{")
    ):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text
