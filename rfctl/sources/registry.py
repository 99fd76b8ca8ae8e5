"""The table of sources: type → where its class is, and what the provider's own habits decide.

A class is imported when a source of its type is made: the operator's commands mostly need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from rfctl.sources.contract import Profile, Source

_DAY_S = 86_400
GENERIC = "generic"
"""The source that is served without any settings: the Node service's own webhook."""


@dataclass(frozen=True, slots=True)
class SourceType:
    """One type. `dedupe_s` is how long its provider may send a message again, None: as the settings say."""

    where: str
    dedupe_s: int | None


SOURCES: dict[str, SourceType] = {
    "whatsapp-cloud": SourceType("rfctl.sources.whatsapp_cloud.source:WhatsAppCloud", 8 * _DAY_S),
    "twilio": SourceType("rfctl.sources.twilio.source:Twilio", _DAY_S),
    "telegram": SourceType("rfctl.sources.telegram.source:Telegram", 2 * _DAY_S),
    "evolution": SourceType("rfctl.sources.evolution.source:Evolution", 2 * _DAY_S),
    "waha": SourceType("rfctl.sources.waha.source:Waha", 2 * _DAY_S),
    "green-api": SourceType("rfctl.sources.green_api.source:GreenApi", 2 * _DAY_S),
    "generic": SourceType("rfctl.sources.generic.node_form:Generic", None),
}
_MAPPED = "rfctl.sources.generic.mapped:Mapped"


def make_source(kind: str, profile: Profile) -> Source:
    """Return a source of this type; a generic one with a mapping reads anybody's JSON."""
    where = _MAPPED if kind == "generic" and profile.mapping else SOURCES[kind].where
    module, _, name = where.partition(":")
    made: Source = getattr(import_module(module), name)(profile)
    return made
