"""Whether every source and sink of the settings can be set up, without opening any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rfctl.entrances import check_open_to_all, entrances
from rfctl.errors import SettingsError
from rfctl.exits import forwarded, make_exit
from rfctl.settings import EMBEDDED, Settings

_SOME_REDIS = "redis://127.0.0.1:6379/0"
"""In place of the embedded store, which has no address before it runs."""


def problems(settings: Settings) -> list[str]:
    """Return one line for each thing that is wrong with a way in or out."""
    url = _SOME_REDIS if settings.redis.url == EMBEDDED else settings.redis.url
    sources = [settings.model_copy(update={"sources": {name: one}}) for name, one in settings.sources.items()]
    found = _wrong(check_open_to_all, settings) if settings.daemon.roles in ("all", "webhook") else []
    for one in sources:
        found += _wrong(entrances, one)
    for name, sink in forwarded(settings).items():
        found += _wrong(make_exit, name, sink, redis_url=url)
    return found


def _wrong(make: Callable[..., Any], *args: Any, **named: Any) -> list[str]:
    try:
        make(*args, **named)
    except SettingsError as problem:
        return [f"{one}; {problem.next}" if _says_what_to_do(problem) else one for one in problem.problems]
    return []


def _says_what_to_do(problem: SettingsError) -> bool:
    return bool(problem.next) and not problem.next.startswith("see ")
