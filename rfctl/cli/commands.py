"""The table of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from rfctl.cli import config, dead, demo, export, flush, inspect, quarantine, serve, simulate, stats, tail
from rfctl.cli import resend as replay
from rfctl.cli import sinks as pause

COMMANDS: dict[str, Callable[..., Any]] = {
    "serve": serve.serve,
    "stats": stats.stats,
    "inspect": inspect.inspect,
    "tail": tail.tail,
    "flush": flush.flush,
    "pause": pause.pause,
    "resume": pause.resume,
    "replay": replay.replay,
    "simulate": simulate.simulate,
    "demo": demo.demo,
}
GROUPS: dict[str, typer.Typer] = {
    "dead": dead.app,
    "quarantine": quarantine.app,
    "config": config.app,
    "export": export.app,
}
