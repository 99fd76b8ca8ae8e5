"""What the alerts and the dashboard ask Prometheus, taken apart as far as a check needs it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana.json"
_AGGREGATIONS = {"sum", "max", "min", "avg", "count"}
_TOKENS = re.compile(r'"[^"]*"|[a-zA-Z_:][a-zA-Z0-9_:]*|[(){}]|\S')


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a metric: within which functions, the outer one first, with which labels, and grouped by which."""

    metric: str
    functions: tuple[str, ...]
    labels: frozenset[str]
    groups: frozenset[str]

    @property
    def aggregation(self) -> str:
        """The innermost aggregation, or ""."""
        return next((name for name in reversed(self.functions) if name in _AGGREGATIONS), "")


def list_uses(query: str) -> list[Use]:
    """Return the uses of metrics of rfctl in a query."""
    tokens, uses = _TOKENS.findall(query), []
    stack: list[tuple[str, frozenset[str]]] = []
    pending: tuple[str, frozenset[str]] = ("", frozenset())
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token in ("by", "on", "without", "ignoring"):
            end = tokens.index(")", place)
            pending = (pending[0], frozenset(tokens[place + 2 : end]) - {","})
            place = end
        elif token == "(":
            stack.append(pending)
            pending = ("", frozenset())
        elif token == ")":
            stack.pop()
        elif token.startswith("rfctl_"):
            inside = (
                tokens[place + 1 :][: tokens[place:].index("}")]
                if tokens[place + 1 : place + 2] == ["{"]
                else []
            )
            labels = frozenset(
                name
                for name, sign in itertools.pairwise(inside)
                if sign in ("=", "!") and name.isidentifier()
            )
            groups = frozenset().union(*(group for _, group in stack))
            uses.append(Use(token, tuple(name for name, _ in stack if name), labels, groups))
            place += len(inside)
        else:
            pending = (token, frozenset())
        place += 1
    return uses


def list_alerts() -> dict[str, str]:
    """Return the expression of each alert by its name."""
    blocks = re.split(r"(?m)^ +- alert: ", ALERTS.read_text())[1:]
    alerts = {}
    for block in blocks:
        name, _, rest = block.partition("\n")
        match = re.search(r"(?s) expr: \|?(.*?)\n        (?:for|labels):", rest)
        assert match is not None, name
        alerts[name] = " ".join(match[1].split())
    return alerts


def list_panels() -> Iterator[dict[str, Any]]:
    """Yield the panels of the dashboard."""
    yield from json.loads(DASHBOARD.read_text())["panels"]


def list_panel_queries() -> Iterator[tuple[str, str]]:
    """Yield the title of each panel with each of its queries."""
    for panel in list_panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
