"""The programs of bench/ are as small as the rest of the house."""

from __future__ import annotations

from bench.__main__ import FOLDER
from tests.unit.test_architecture import MAX_LINES_OF_A_FILE, MAX_LINES_OF_A_FUNCTION, functions

MODULES = [path for path in sorted(FOLDER.rglob("*.py")) if "node_modules" not in path.parts]


def test_no_file_is_long() -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES_OF_A_FILE} == {}


def test_no_function_is_long() -> None:
    sizes = {(path.name, name): size for path in MODULES for name, size in functions(path.read_text())}
    assert {where: size for where, size in sizes.items() if size > MAX_LINES_OF_A_FUNCTION} == {}
