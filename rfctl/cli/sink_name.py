"""Which sink a command is about."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rfctl.assembly.sinks import forwarded_sinks
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError, UsageError


def check_forwarded(settings: Settings, name: str) -> None:
    """Take only a sink that rfctl delivers to. Raises NothingFoundError with near names, or UsageError."""
    known = forwarded_sinks(settings)
    if name in known:
        return
    if name in settings.sinks:
        raise UsageError(
            f"sink {name} is the output stream, which your workers read themselves",
            next="stop or start them; this is for sinks that rfctl delivers to",
        )
    raise unknown(name, known)


def unknown(name: str, known: Iterable[str]) -> NothingFoundError:
    """Return the error for a sink that is not there, with what may have been meant."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        step = f"did you mean {' or '.join(near)}?"
    elif names:
        step = f"there is {', '.join(names)}"
    else:
        step = (
            "no sink is configured that rfctl delivers to: [sinks.NAME] in the settings, see `man rfctl.toml`"
        )
    return NothingFoundError(f"there is no sink {name}", next=step)
