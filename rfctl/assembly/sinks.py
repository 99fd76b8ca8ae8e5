"""From the settings to the sinks: which there are, how each is built, and its retry policy."""

from __future__ import annotations

from collections.abc import Mapping

from rfctl.assembly.sources import list_source_configs
from rfctl.config.settings import Settings
from rfctl.delivery import LEASE_MS, RetryPolicy, Target
from rfctl.errors import SettingsError
from rfctl.observe.facts.shell import UnsetCompany
from rfctl.sinks.config import SinkConfig
from rfctl.sinks.redis import RedisSink
from rfctl.sinks.registry import build_sink
from rfctl.store import ConfiguredSink, group_name
from rfctl.text import mask_urls


def list_forwarded_sinks(settings: Settings) -> dict[str, SinkConfig]:
    """Return the sinks that rfctl delivers to, by name."""
    return {name: config for name, config in settings.sinks.items() if not config.is_read_by_workers}


def list_configured_sinks(settings: Settings) -> list[ConfiguredSink]:
    """Return the configured sinks; those that workers read themselves are not forwarded."""
    return [
        ConfiguredSink(name, config.type, config.worker_group, forwarded=False)
        if config.is_read_by_workers
        else ConfiguredSink(name, config.type, group_name(name), patience_ms=3 * LEASE_MS + config.timeout_ms)
        for name, config in settings.sinks.items()
    ]


def list_groups(settings: Settings) -> list[str]:
    """Return the consumer groups of all configured sinks, those of workers too."""
    return list(dict.fromkeys(sink.group for sink in list_configured_sinks(settings) if sink.group))


def list_unset_companies(settings: Settings) -> list[UnsetCompany]:
    """Return each source without a company, for each name of a sink that has {company} in it."""
    without = [name for name, config in list_source_configs(settings).items() if not config.names_company]
    templates = {
        f"sinks.{name}.{setting}": getattr(config, setting, "")
        for name, config in settings.sinks.items()
        for setting in ("queue", "key")
    }
    return [
        UnsetCompany(name, place, template.replace("{company}", "none"))
        for place, template in templates.items()
        if "{company}" in template
        for name in without
    ]


async def open_targets(sinks: Mapping[str, SinkConfig], redis_url: str) -> dict[str, Target]:
    """Set sinks up and get them ready. Raises SettingsError with what is wrong with any of them; then none is open."""
    targets: dict[str, Target] = {}
    problems: list[str] = []
    for name, config in sinks.items():
        try:
            target = build_target(name, config, redis_url=redis_url)
            if not isinstance(target.sink, RedisSink):
                await target.sink.open()
            targets[name] = target
        except SettingsError as problem:
            problems += [_with_next(line, problem.next) for line in problem.problems]
        # Another package's class may raise anything, and must not end the daemon.
        except Exception as problem:
            problems.append(f"sinks.{name}: {type(problem).__name__}: {mask_urls(str(problem))}")
    if problems:
        for target in targets.values():
            await target.close()
        raise SettingsError(problems, next="see `man rfctl.toml`")
    return targets


def _with_next(line: str, step: str) -> str:
    return f"{line}; {step}" if step and not step.startswith("see ") else line


def build_target(name: str, config: SinkConfig, *, redis_url: str, max_sleep_ms: int = 1000) -> Target:
    """Set one sink up. Raises SettingsError."""
    policy = RetryPolicy(
        retry_delays_ms=tuple(config.retry_delays_ms),
        concurrency=config.concurrency,
        max_sleep_ms=max_sleep_ms,
    )
    return Target(name, config.type, build_sink(name, config.with_redis_url(redis_url)), policy)
