"""Each page with a generated part. Such a part stands between two comments, and the first one names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rfctl.sinks.registry import SPECS as SINKS
from rfctl.sources.registry import SPECS as SOURCES
from tests.support.site.commands import write_commands, write_exit_statuses, write_global_options
from tests.support.site.facts import write_access, write_findings, write_keys, write_log_events, write_payload
from tests.support.site.navigation import DOCS, SITE, write_site
from tests.support.site.settings import write_all_settings, write_settings_of

_PART = re.compile(r"(?s)(<!-- generated: ([^\n]+?) -->\n).*?(<!-- end of the generated part -->\n)")

PARTS: dict[str, Callable[[], str]] = {
    "settings": write_all_settings,
    "commands": write_commands,
    "global options": write_global_options,
    "exit statuses": write_exit_statuses,
    "access": write_access,
    "findings": write_findings,
    "log events": write_log_events,
    "keys": write_keys,
    "payload rfctl": lambda: write_payload("rfctl"),
    "payload node": lambda: write_payload("node"),
    **{f"source {name}": lambda name=name: write_settings_of("sources", name) for name in SOURCES},  # type: ignore[misc]
    **{f"sink {name}": lambda name=name: write_settings_of("sinks", name) for name in SINKS},  # type: ignore[misc]
}
"""What can be generated, by the name that its comment has."""


def list_site_documents() -> dict[Path, str]:
    """Return each page with a generated part, and zensical.toml, with the text that it should have."""
    pages = {path: path.read_text() for path in sorted(DOCS.rglob("*.md"))}
    filled = {path: fill_parts(text) for path, text in pages.items() if _PART.search(text)}
    return {**filled, SITE: write_site(SITE.read_text())}


def fill_parts(text: str) -> str:
    """Return a page with its generated parts made anew. Raises KeyError for a part that nobody makes."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]().rstrip()}\n\n{part[3]}", text)
