"""Settings of a source of type whatsapp-cloud."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rfctl.section import SECRET, Example
from rfctl.sources.config import OwnSourceConfig
from rfctl.sources.contract import DAY_S, SourceSpec


class WhatsAppCloudConfig(OwnSourceConfig):
    """A source of type whatsapp-cloud. Its secrets are the app secrets of Meta's app."""

    type: Literal["whatsapp-cloud"]
    verify_token: str = Field(
        "",
        description="The verify token that Meta's GET handshake must name.",
        examples=["a word of your own"],
        json_schema_extra=SECRET,
    )

    def handshake_hint(self, name: str) -> str:
        """Return what to look at when Meta's handshake was rejected."""
        if not self.verify_token:
            return f"set sources.{name}.verify_token to the one that Meta was told"
        return f"is sources.{name}.verify_token the one that Meta was told?"


SPEC = SourceSpec(
    "whatsapp-cloud",
    WhatsAppCloudConfig,
    build="rfctl.sources.whatsapp_cloud.source:WhatsAppCloud",
    stand_in="rfctl.sources.whatsapp_cloud.stand_in:WhatsappCloudStandIn",
    examples=(
        Example(
            "WhatsApp Cloud: the app secret of Meta's app, and the token that its webhook page was given",
            "salon",
            {
                "secrets": ["app secret"],
                "verify_token": "a word of your own",
                "company": 962302,
                "quiet_ms": 4000,
            },
        ),
    ),
    dedupe_s=8 * DAY_S,
)
