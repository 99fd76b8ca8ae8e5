"""The table of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from rfctl.cli import config, demo, export, flush, inspect, serve, simulate, stats, tail

COMMANDS: dict[str, Callable[..., Any]] = {
    "serve": serve.serve,
    "stats": stats.stats,
    "inspect": inspect.inspect,
    "tail": tail.tail,
    "flush": flush.flush,
    "simulate": simulate.simulate,
    "demo": demo.demo,
}
GROUPS: dict[str, typer.Typer] = {"config": config.app, "export": export.app}
