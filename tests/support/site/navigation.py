"""The navigation of the site: made of the folders, so that a new page is in it, and no page is named that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
SITE = ROOT / "zensical.toml"
_MARK = re.compile(r"(?s)(# The navigation is generated: scripts/docs\n).*?(# The navigation ends\.\n)")
_CONTRIBUTORS = ("ARCHITECTURE.md", "NAMING.md", "FAULTS.md", "PERFORMANCE.md")
_FIRST = ("index.md", "README.md", "install.md", "systemd.md", "generic.md", "three-timers.md")
"""These stand first in their folder; the others follow by their titles."""


def write_site(text: str) -> str:
    """Return zensical.toml with the navigation made anew."""
    return _MARK.sub(lambda match: f"{match[1]}nav = {_write(build_navigation())}\n{match[2]}", text)


def build_navigation() -> list[dict[str, Any]]:
    """Return the sections in the order in which a newcomer needs them, each with its pages."""
    how_to = [
        {"Sources": _list("how-to/sources")},
        {"Sinks": _list("how-to/sinks")},
        {"Recipes": _list("recipes")},
        *_list("how-to"),
        *_pages("gateways.md", "moving.md"),
    ]
    operations = [*_list("operations"), *_pages("METRICS.md", "TRACING.md")]
    contributors = [*_pages(*_CONTRIBUTORS), {"Decisions": _list("adr")}]
    return [
        {"rfctl": "index.md"},
        {"Tutorial": _list("tutorial")},
        {"How-to": how_to},
        {"Operations": operations},
        {"Reference": _list("reference")},
        {"Explanation": _list("explanation")},
        {"For contributors": contributors},
    ]


def list_linked_pages() -> set[str]:
    """Return the page of each entry, by its path below docs/."""
    return set(_walk(build_navigation()))


def _walk(entries: list[Any]) -> list[str]:
    pages: list[str] = []
    for entry in entries:
        [value] = entry.values()
        pages += [value] if isinstance(value, str) else _walk(value)
    return pages


def _list(folder: str) -> list[dict[str, Any]]:
    paths = sorted((DOCS / folder).glob("*.md"), key=_rank)
    return [{read_title(path): str(path.relative_to(DOCS))} for path in paths]


def _rank(path: Path) -> tuple[int, str]:
    place = _FIRST.index(path.name) if path.name in _FIRST else len(_FIRST)
    return place, path.name if re.match(r"\d", path.name) else read_title(path).lower()


def _pages(*names: str) -> list[dict[str, Any]]:
    return [{read_title(DOCS / name): name} for name in names]


def read_title(path: Path) -> str:
    """Return the heading of a page, up to a colon, without marks. The first page of a section does not repeat its name."""
    if path.name == "README.md":
        return "Overview"
    heading = path.read_text().partition("\n")[0].removeprefix("# ")
    return heading.partition(":")[0].replace("`", "").strip()


def _write(entries: list[Any], indent: str = "") -> str:
    inner = indent + "  "
    lines = []
    for entry in entries:
        [(title, value)] = entry.items()
        shown = f'"{value}"' if isinstance(value, str) else _write(value, inner)
        lines.append(f'{inner}{{ "{title}" = {shown} }},\n')
    return "[\n" + "".join(lines) + indent + "]"
