"""The table of sources: type → class, and what the provider's own habits decide."""

from __future__ import annotations

from dataclasses import dataclass

from rfctl.sources.evolution import Evolution
from rfctl.sources.generic import Generic
from rfctl.sources.green_api import GreenApi
from rfctl.sources.mapped import Mapped
from rfctl.sources.request import Profile, Source
from rfctl.sources.telegram import Telegram
from rfctl.sources.twilio import Twilio
from rfctl.sources.waha import Waha
from rfctl.sources.whatsapp_cloud import WhatsAppCloud

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class SourceType:
    """One type. `dedupe_s` is how long its provider may send a message again, None: as the settings say."""

    make: type[Source]
    dedupe_s: int | None


SOURCES: dict[str, SourceType] = {
    "whatsapp-cloud": SourceType(WhatsAppCloud, 8 * _DAY_S),
    "twilio": SourceType(Twilio, _DAY_S),
    "telegram": SourceType(Telegram, 2 * _DAY_S),
    "evolution": SourceType(Evolution, 2 * _DAY_S),
    "waha": SourceType(Waha, 2 * _DAY_S),
    "green-api": SourceType(GreenApi, 2 * _DAY_S),
    "generic": SourceType(Generic, None),
}


def make_source(kind: str, profile: Profile) -> Source:
    """Return a source of this type; a generic one with a mapping reads anybody's JSON."""
    if kind == "generic" and profile.mapping:
        return Mapped(profile)
    return SOURCES[kind].make(profile)
