"""A phone in a path is the one that the caller wrote, whatever signs it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Match, Route

import rfctl
from rfctl.ingest.openapi.operations import OPERATIONS


@pytest.mark.parametrize("phone", ["79001234567\n", "é\nZC", "\n", "a/b", "a\x00b\u2028"])
def test_rest_of_a_path_is_taken_whole(phone: str) -> None:
    paths = {operation.path for operation in OPERATIONS if operation.path.endswith(":rest}")}
    assert paths
    for path in paths:
        route = Route(path, lambda request: request, methods=["DELETE"])
        start, _, name = path.partition(":rest}")[0].rpartition("{")
        scope = {
            "type": "http", "method": "DELETE", "path": start.replace("{name}", "x") + phone, "path_params": {},
        }  # fmt: skip
        match, more = route.matches(scope)
        assert (match, more["path_params"][name]) == (Match.FULL, phone)


def test_no_route_ends_at_a_line_break() -> None:
    package = Path(rfctl.__file__).parent
    routes = [file for file in package.rglob("*.py") if re.search(r"\{\w+:path\}", file.read_text())]
    assert routes == [], "write {name:rest}: starlette's path ends at a line break"
