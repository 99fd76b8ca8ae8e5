"""The links of all pages: each leads to a file, and to a heading of it. Those to other hosts are looked at by their form."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.site.blocks import strip_blocks
from tests.support.site.markdown import name_anchor
from tests.support.site.navigation import DOCS, ROOT, build_navigation, list_linked_pages

PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(DOCS.rglob("*.md")),
]
MANUALS = sorted((ROOT / "man").iterdir())
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OUTSIDE = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[^\s<>\"]*)?")


def strip_code(text: str) -> str:
    """Return a page without its code: what looks like a link there is none."""
    return re.sub(r"`[^`\n]*`", "", strip_blocks(text))


def list_anchors(page: Path) -> set[str]:
    """Return the addresses of the headings of a page; a second one of the same words has a number."""
    anchors: list[str] = []
    for heading in re.findall(r"(?m)^#+ (.*)$", strip_blocks(page.read_text())):
        anchor = name_anchor(heading)
        count = anchors.count(anchor)
        anchors.append(f"{anchor}-{count}" if count else anchor)
    return set(anchors)


def find_fault(page: Path, link: str) -> str:
    """Return what is wrong with a link; "" for nothing."""
    if "://" in link:
        return "" if _OUTSIDE.fullmatch(link) else f"{link}: not an address that a stranger can open"
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return f"{link}: there is no such file"
    if page.is_relative_to(DOCS) and not target.resolve().is_relative_to(DOCS):
        return f"{link}: the site has only what is in docs/; name the file in code style"
    if anchor and anchor not in list_anchors(target):
        return f"{link}: there is no such heading"
    return ""


def list_faults(page: Path, text: str) -> list[str]:
    return [fault for link in _LINK.findall(strip_code(text)) if (fault := find_fault(page, link))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list_faults(page, page.read_text()) == []


@pytest.mark.parametrize(
    "link",
    [
        "nope.md",
        "gateways.md#nope",
        "#nope",
        "http://example.com",
        "https://localhost/x",
        "../docs/nope.md",
        "../LICENSE",
    ],
)
def test_dead_link_is_noticed(link: str) -> None:
    assert len(list_faults(DOCS / "index.md", f"# A\n\n[x]({link})\n")) == 1


@pytest.mark.parametrize("link", ["gateways.md#with-a-preset", "recipes/README.md", "https://prometheus.io"])
def test_link_that_leads_somewhere_passes(link: str) -> None:
    assert list_faults(DOCS / "index.md", f"[x]({link}) and `[y](nope.md)`\n") == []


@pytest.mark.parametrize("page", [*PAGES, *MANUALS], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_that_is_named_is_there(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"\bdocs/[\w/-]+\.(?:md|toml)\b", text))
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == []
    manuals = {match[1] or "1" for match in re.finditer(r"\bman (?:(\d) )?rfctl\b(?!\.toml)", text)}
    assert [section for section in manuals if not (ROOT / "man" / f"rfctl.{section}").exists()] == []


def test_every_page_is_in_the_navigation() -> None:
    assert list_linked_pages() == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


def list_titles(entries: list[Any], section: str = "") -> list[tuple[str, str]]:
    """Return each title of a page, with its section."""
    titles: list[tuple[str, str]] = []
    for entry in entries:
        [(title, value)] = entry.items()
        titles += [(section, title)] if isinstance(value, str) else list_titles(value, title)
    return titles


def test_every_page_has_a_name_of_its_own_in_the_navigation() -> None:
    titles = [title for _, title in list_titles(build_navigation()) if title != "Overview"]
    assert sorted(titles) == sorted(set(titles))
    assert [title for section, title in list_titles(build_navigation()) if title == section] == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_begins_with_its_title(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert not lines[1]
