"""Each how-to of a source or a sink has what its reader needs: what to set on both sides, a request, and what can go wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.site.blocks import list_blocks_of
from tests.support.site.navigation import DOCS

SOURCES = sorted((DOCS / "how-to" / "sources").glob("*.md"))
SINKS = [page for page in sorted((DOCS / "how-to" / "sinks").glob("*.md")) if page.stem != "your-own"]
SECTIONS = {
    "sources": [
        "At the provider", "Settings", "Try it without the provider", "One request by hand", "What can go wrong",
        "Good to know", "All settings",
    ],
    "sinks": ["Settings", "Try it", "What can go wrong", "Good to know", "All settings"],
}  # fmt: skip
EXTRA = {"A receiver", "The program"}
"""A sink may have the other end on its page."""


def list_how_to_faults(kind: str, text: str) -> list[str]:
    """Return what a page of this kind lacks."""
    headings = [heading for heading in re.findall(r"(?m)^## (.*)$", text) if heading not in EXTRA]
    faults = [] if headings == SECTIONS[kind] else [f"sections: {headings}"]
    blocks = [block for block in list_blocks_of(text) if not block.reason]
    if not any(line.startswith("curl ") for block in blocks for line in block.commands):
        faults.append("no curl that a test runs")
    wrong = text.partition("## What can go wrong\n")[2].partition("\n## ")[0]
    if len(re.findall(r"(?m)^\| .* \|$", wrong)) < 3:
        faults.append("no table of what can go wrong")
    return faults


@pytest.mark.parametrize("page", [*SOURCES, *SINKS], ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_how_to_has_what_its_reader_needs(page: Path) -> None:
    assert list_how_to_faults(page.parent.name, page.read_text()) == []


def test_missing_part_is_noticed() -> None:
    text = (DOCS / "how-to" / "sources" / "waha.md").read_text()
    assert len(list_how_to_faults("sources", text.replace("## At the provider", "## There"))) == 1
    assert len(list_how_to_faults("sources", text.replace("curl -i ", "wget "))) == 1
    assert len(list_how_to_faults("sources", re.sub(r"(?m)^\| (?!you see).* \|$", "", text))) == 1
