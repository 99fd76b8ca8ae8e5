"""The table of sinks: type → where its class is. Imported when it is used, since some need an extra.

Another package brings its own by an entry point in the group `rfctl.sinks`: the name is the type, the object
is called with a `SinkProfile` and returns a `Sink`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from rfctl.errors import SettingsError
from rfctl.sinks.contract import Sink, SinkProfile
from rfctl.sinks.redis import RedisSink
from rfctl.store.keys import RESERVED_PREFIXES

ENTRY_POINTS = "rfctl.sinks"
_CLASSES = {
    "http": "rfctl.sinks.http.sink:Http",
    "bullmq": "rfctl.sinks.bullmq:BullMq",
    "celery": "rfctl.sinks.celery:Celery",
    "rq": "rfctl.sinks.rq:Rq",
    "command": "rfctl.sinks.command:Command",
    "stdout": "rfctl.sinks.stdout:Stdout",
}
INSIDE = ("list", "stream")


def types() -> list[str]:
    """Return every type that can be used here."""
    return [*INSIDE, *_CLASSES, *sorted(point.name for point in entry_points(group=ENTRY_POINTS))]


def make_sink(profile: SinkProfile) -> Sink | RedisSink:
    """Return a sink of the profile's type. Raises SettingsError for an unknown one, or wrong options."""
    if profile.type in INSIDE:
        return _inside(profile)
    if profile.type in _CLASSES:
        module, _, name = _CLASSES[profile.type].partition(":")
        made: Sink = getattr(import_module(module), name)(profile)
        return made
    for point in entry_points(group=ENTRY_POINTS, name=profile.type):
        registered: Sink = point.load()(profile)
        return registered
    raise SettingsError(
        [f"sinks.{profile.name}.type: there is no sink {profile.type}"],
        next=f"use one of {', '.join(types())}, or install the package that registers it",
    )


def _inside(profile: SinkProfile) -> RedisSink:
    key = str(profile.options["key"])
    if key.startswith((*RESERVED_PREFIXES, "{")):
        raise SettingsError(
            [f"sinks.{profile.name}.key: {key} could be a key of rfctl's own"],
            next=f"use a name that begins otherwise than with a place or {', '.join(RESERVED_PREFIXES)}",
        )
    return RedisSink("list" if profile.type == "list" else "stream", key)
