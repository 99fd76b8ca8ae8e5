"""From the settings to the ways out: which sinks there are, how they are set up, and at what pace they are served."""

from __future__ import annotations

from collections.abc import Mapping

from rfctl.config.endpoints import SinkSettings
from rfctl.config.settings import Settings
from rfctl.delivery import RetryPolicy, Target
from rfctl.errors import SettingsError
from rfctl.sinks.contract import SinkProfile
from rfctl.sinks.redis import RedisSink
from rfctl.sinks.registry import make_sink
from rfctl.store import ConfiguredSink, group_name

_COMMON = frozenset({"type", "retry_delays_ms", "concurrency", "timeout_ms", "connect_timeout_ms", "options"})
_OWN_URL_OPTIONAL = ("bullmq", "celery", "rq")


def is_read_by_workers(one: SinkSettings) -> bool:
    """Say whether it is the output stream itself: workers read it, and there is nothing to deliver."""
    return one.type == "stream" and not one.key


def forwarded_sinks(settings: Settings) -> dict[str, SinkSettings]:
    """Return the sinks that rfctl delivers to, by name."""
    return {name: one for name, one in settings.sinks.items() if not is_read_by_workers(one)}


def configured_sinks(settings: Settings) -> list[ConfiguredSink]:
    """Return the configured sinks; those that workers read themselves are not forwarded."""
    return [
        ConfiguredSink(name, sink.type, sink.group, forwarded=False)
        if is_read_by_workers(sink)
        else ConfiguredSink(name, sink.type, group_name(name))
        for name, sink in settings.sinks.items()
    ]


def worker_groups(settings: Settings) -> list[str]:
    """Return the consumer groups of workers that are to be made on the output stream."""
    return [one.group for one in settings.sinks.values() if is_read_by_workers(one) and one.group]


async def open_targets(sinks: Mapping[str, SinkSettings], redis_url: str) -> dict[str, Target]:
    """Set sinks up and get them ready. Raises SettingsError with what is wrong with any of them; then none is open."""
    made: dict[str, Target] = {}
    problems: list[str] = []
    for name, one in sinks.items():
        try:
            ready = build_target(name, one, redis_url=redis_url)
            if not isinstance(ready.sink, RedisSink):
                await ready.sink.open()
            made[name] = ready
        except SettingsError as problem:
            problems += [_with_its_cure(line, problem.next) for line in problem.problems]
        except (
            Exception
        ) as problem:  # another package's class may raise anything, and must not end the daemon
            problems.append(f"sinks.{name}: {type(problem).__name__}: {problem}")
    if problems:
        for ready in made.values():
            await ready.close()
        raise SettingsError(problems, next="see `man rfctl.toml`")
    return made


def _with_its_cure(line: str, cure: str) -> str:
    return f"{line}; {cure}" if cure and not cure.startswith("see ") else line


def build_target(name: str, one: SinkSettings, *, redis_url: str, max_sleep_ms: int = 1000) -> Target:
    """Set one sink up. Raises SettingsError."""
    policy = RetryPolicy(
        retry_delays_ms=tuple(one.retry_delays_ms), concurrency=one.concurrency, max_sleep_ms=max_sleep_ms
    )
    return Target(name, one.type, make_sink(_profile(name, one, redis_url)), policy)


def _profile(name: str, one: SinkSettings, redis_url: str) -> SinkProfile:
    given = {field: getattr(one, field) for field in type(one).model_fields if field not in _COMMON}
    options = {field: value for field, value in given.items() if value != ""}
    if one.type in _OWN_URL_OPTIONAL and not one.url:
        options["url"] = redis_url
    return SinkProfile(name, one.type, one.timeout_ms, one.connect_timeout_ms, {**options, **one.options})
