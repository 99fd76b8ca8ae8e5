"""Checks whether every source and sink of the settings can be set up, as `serve` would, without serving."""

from __future__ import annotations

from rfctl.assembly.sinks import list_forwarded_sinks, open_targets
from rfctl.assembly.sources import build_sources, check_exposure
from rfctl.config.settings import EMBEDDED, Settings
from rfctl.errors import SettingsError
from rfctl.model.redis_url import TlsFileError, check_tls_files, parse_redis_url

_ANY_REDIS = "redis://127.0.0.1:6379/0"
"""In place of the embedded server, which has no address before it runs."""


def _tls_problems(settings: Settings) -> list[str]:
    if settings.redis.url != EMBEDDED:
        try:
            check_tls_files(parse_redis_url(settings.redis.full_url()))
        except TlsFileError as problem:
            settings_of = {option: name for name, option in settings.redis.list_tls_files()}
            return [f"redis.{settings_of.get(problem.option, 'url')}: {problem}"]
    return []


async def find_problems(settings: Settings) -> list[str]:
    """Return one line for each problem of a source or a sink; no receiver is called."""
    problems: list[str] = []
    for check in (build_sources, check_exposure):
        try:
            check(settings)
        except SettingsError as problem:
            problems += problem.problems
    problems += _tls_problems(settings)
    url = _ANY_REDIS if settings.redis.url == EMBEDDED else settings.redis.full_url()
    try:
        for target in (await open_targets(list_forwarded_sinks(settings), url)).values():
            await target.close()
    except SettingsError as problem:
        problems += problem.problems
    return problems
