"""The table of sinks. A new type is one folder and one line here; another package registers an entry point."""

from __future__ import annotations

from importlib.metadata import entry_points

from rfctl.errors import SettingsError
from rfctl.sinks.bullmq import config as bullmq
from rfctl.sinks.celery import config as celery
from rfctl.sinks.command import config as command
from rfctl.sinks.config import PluginSection, SinkConfig
from rfctl.sinks.contract import PluginSinkConfig, Sink, SinkSpec
from rfctl.sinks.http import config as http
from rfctl.sinks.redis import RedisSink
from rfctl.sinks.redis import config as redis
from rfctl.sinks.rq import config as rq
from rfctl.sinks.stdout import config as stdout

ENTRY_POINTS = "rfctl.sinks"
SPECS: dict[str, SinkSpec] = {
    spec.type: spec
    for spec in (
        redis.LIST,
        redis.STREAM,
        http.SPEC,
        bullmq.SPEC,
        celery.SPEC,
        rq.SPEC,
        command.SPEC,
        stdout.SPEC,
    )
}


def list_types() -> list[str]:
    """Return every type that can be used here, those of other packages last."""
    return [*SPECS, *sorted(point.name for point in entry_points(group=ENTRY_POINTS))]


def build_sink(name: str, config: SinkConfig) -> Sink | RedisSink:
    """Return the sink of these settings. Raises SettingsError when its package is not installed any more."""
    if not isinstance(config, PluginSection):
        built: Sink | RedisSink = SPECS[config.type].build_sink(name, config)
        return built
    for point in entry_points(group=ENTRY_POINTS, name=config.type):
        plugin = PluginSinkConfig(
            name, config.type, config.timeout_ms, config.connect_timeout_ms, config.options
        )
        sink: Sink = point.load()(plugin)
        return sink
    raise SettingsError(
        [f"sinks.{name}.type: there is no sink {config.type}"],
        next=f"use one of {', '.join(list_types())}, or install the package that registers it",
    )
