"""Whether every source and sink of the settings can be set up: what `serve` would find, without serving."""

from __future__ import annotations

from rfctl.assembly.sinks import forwarded_sinks, open_targets
from rfctl.assembly.sources import build_sources, check_open_to_all
from rfctl.config.settings import EMBEDDED, Settings
from rfctl.errors import SettingsError

_SOME_REDIS = "redis://127.0.0.1:6379/0"
"""In place of the embedded store, which has no address before it runs."""


async def problems(settings: Settings) -> list[str]:
    """Return one line for each thing that is wrong with a way in or out; no receiver is spoken to."""
    found: list[str] = []
    for check in (build_sources, check_open_to_all):
        try:
            check(settings)
        except SettingsError as problem:
            found += problem.problems
    url = _SOME_REDIS if settings.redis.url == EMBEDDED else settings.redis.url
    try:
        for made in (await open_targets(forwarded_sinks(settings), url)).values():
            await made.close()
    except SettingsError as problem:
        found += problem.problems
    return found
