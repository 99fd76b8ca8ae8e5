"""The site of docs/: it is built without a warning, and no page of it needs another host."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.processes import run
from tests.support.site.navigation import DOCS, SITE

PROGRAM = Path(sys.executable).parent / "zensical"
_LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*?\bsrc=["']?([^"'\s>]+)|<link\b([^>]*)>""")
_SHEETS = re.compile(r"@import\s+[\"']?([^\"';]+)|url\(\s*[\"']?([^\"')]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(folder, SITE.read_text(), DOCS)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder / "site"


def build(folder: Path, settings: str, docs: Path) -> CompletedProcess[str]:
    """Build a site in a folder, strictly."""
    if not PROGRAM.exists():
        pytest.skip("needs zensical: pip install -e '.[lint]'")
    shutil.copytree(docs, folder / "docs")
    (folder / "zensical.toml").write_text(settings.replace('".site"', '"site"'))
    return run([str(PROGRAM), "build", "--clean", "--strict"], os.environ, cwd=folder, within_s=120)


def list_loaded(page: str) -> list[str]:
    """Return what a browser loads for a page by itself."""
    loaded = []
    for match in _LOADED.finditer(page):
        is_loaded = re.search(
            r'rel=["\']?(?:stylesheet|icon|preload|preconnect|modulepreload)', match[2] or ""
        )
        address = re.search(r'href=["\']?([^"\'\s>]+)', match[2] or "")
        loaded += [match[1]] if match[1] else [address[1]] if is_loaded and address else []
    return loaded


def is_outside(address: str) -> bool:
    return re.match(r"(?:[a-z]+:)?//", address) is not None


def test_site_has_every_page(site: Path) -> None:
    pages = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    pages = {path.with_name("index.html") if path.name == "README.html" else path for path in pages}
    assert pages <= {page.relative_to(site) for page in site.rglob("*.html")}


def test_no_page_loads_from_another_host(site: Path) -> None:
    texts = {page: page.read_text() for page in site.rglob("*.html")}
    assert all(list_loaded(text) for text in texts.values())
    outside = [
        (page.name, each) for page, text in texts.items() for each in list_loaded(text) if is_outside(each)
    ]
    sheets = [
        address
        for sheet in site.rglob("*.css")
        for match in _SHEETS.finditer(sheet.read_text())
        if is_outside(address := (match[1] or match[2]).strip())
    ]
    assert (outside, sheets) == ([], [])


@pytest.mark.parametrize(
    "element",
    [
        '<script src="https://x.test/a.js">',
        "<link rel=stylesheet href=//x.test/a.css>",
        '<img alt="" src="http://x/a">',
    ],
)
def test_other_host_is_noticed(element: str) -> None:
    assert [is_outside(each) for each in list_loaded(element)] == [True]


def test_dead_link_fails_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "pages"
    docs.mkdir()
    (docs / "index.md").write_text("# A\n\n[x](nope.md)\n")
    (tmp_path / "work").mkdir()
    done = build(tmp_path / "work", '[project]\nsite_name = "x"\n', docs)
    assert done.returncode != 0
    assert "page does not exist" in done.stdout + done.stderr
