"""Settings of a source of type waha."""

from __future__ import annotations

from typing import Literal

from rfctl.section import Example
from rfctl.sources.config import OwnSourceConfig
from rfctl.sources.contract import MEDIA_BODY_BYTES, SourceSpec


class WahaConfig(OwnSourceConfig):
    """A source of type waha."""

    type: Literal["waha"]


SPEC = SourceSpec(
    "waha",
    WahaConfig,
    build="rfctl.sources.waha.source:Waha",
    stand_in="rfctl.sources.waha.stand_in:WahaStandIn",
    examples=(
        Example(
            "WAHA: the webhook's hmac key",
            "waha",
            {"secrets": ["hmac key"]},
        ),
    ),
    max_body_bytes=MEDIA_BODY_BYTES,
)
