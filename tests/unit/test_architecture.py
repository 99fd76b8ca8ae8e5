"""The layout of rfctl: layers, sizes, and what a package shows, as docs/ARCHITECTURE.md promises them."""

from __future__ import annotations

import ast
import configparser
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter import cli

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rfctl"
MODULES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = [path.parent for path in sorted(PACKAGE.rglob("__init__.py")) if path.parent != PACKAGE]

MAX_NAMES, MAX_LINES_OF_A_FILE, MAX_LINES_OF_A_FUNCTION, MEDIAN_LINES = 20, 300, 50, 7


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Yield the name of each function and its lines, from `def` to its last one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def imported(source: str) -> Iterator[str]:
    """Yield the modules that are imported anywhere, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module


def declares_all(source: str) -> bool:
    """Say whether a module names what it shows, in `__all__`."""
    return any(
        isinstance(target, ast.Name) and target.id == "__all__"
        for node in ast.parse(source).body
        for target in (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
    )


def test_table_of_the_page_has_the_layers_of_the_contract() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = (
        contracts["importlinter:contract:layers"]["layers"].replace("|", " ").replace("rfctl.", "").split()
    )
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| (`[a-z`, ]+`) \|", page.partition("| layer |")[2].partition("\n\n")[0], re.M)
    assert re.findall(r"`(\w+)`", "\n".join(rows)) == layers


def test_imports_follow_the_layers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    status = cli.lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True)
    assert status == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_package_has_at_most_twenty_names() -> None:
    names = sorted(path.name for path in PACKAGE.iterdir() if not path.name.startswith("__"))
    assert len(names) <= MAX_NAMES, names


def test_every_package_declares_what_it_shows() -> None:
    assert [name_of(path) for path in PACKAGES if not declares_all((path / "__init__.py").read_text())] == []


@pytest.mark.parametrize("pattern", ["*.py", "*.lua"])
def test_no_file_is_long(pattern: str) -> None:
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in PACKAGE.rglob(pattern)}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > MAX_LINES_OF_A_FILE} == {}


def test_functions_are_short() -> None:
    sizes = {(name_of(path), name): size for path in MODULES for name, size in functions(path.read_text())}
    assert {where: size for where, size in sizes.items() if size > MAX_LINES_OF_A_FUNCTION} == {}
    assert statistics.median(sizes.values()) <= MEDIAN_LINES


def test_rfctl_imports_nothing_of_the_tests() -> None:
    assert [
        f"{name_of(path)}: {module}"
        for path in MODULES
        for module in imported(path.read_text())
        if module.partition(".")[0] in {"tests", "conftest", "pytest", "bench"}
    ] == []


def test_function_is_measured_to_its_last_line() -> None:
    source = 'class A:\n    @property\n    def f(self):\n        """Do it."""\n        return (\n            1\n        )\n'
    assert list(functions(source)) == [("f", 5)]


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import tests.support as s, os", ["tests.support", "os"]),
        ("def f():\n    from tests import conftest", ["tests"]),
        ("from . import a", []),
    ],
)
def test_imports_are_found_also_inside_functions(source: str, modules: list[str]) -> None:
    assert list(imported(source)) == modules


@pytest.mark.parametrize(
    ("source", "declares"),
    [("__all__ = []", True), ("__all__: list[str] = []", True), ("all = []", False), ("", False)],
)
def test_declaration_of_names_is_noticed(source: str, *, declares: bool) -> None:
    assert declares_all(source) == declares
