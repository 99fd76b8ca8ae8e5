"""The table of sources. A new provider is one folder and one line here."""

from __future__ import annotations

from rfctl.sources.contract import SourceSpec
from rfctl.sources.evolution import config as evolution
from rfctl.sources.generic import config as generic
from rfctl.sources.green_api import config as green_api
from rfctl.sources.telegram import config as telegram
from rfctl.sources.twilio import config as twilio
from rfctl.sources.waha import config as waha
from rfctl.sources.whatsapp_cloud import config as whatsapp_cloud

GENERIC = "generic"
"""The name of the source that is there when no other is configured."""
SPECS: dict[str, SourceSpec] = {
    spec.type: spec
    for spec in (
        whatsapp_cloud.SPEC,
        twilio.SPEC,
        telegram.SPEC,
        evolution.SPEC,
        waha.SPEC,
        green_api.SPEC,
        generic.SPEC,
    )
}
