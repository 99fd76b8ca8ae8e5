"""Settings of a source of type twilio."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rfctl.section import Example, require
from rfctl.sources.config import Origin, SourceConfig
from rfctl.sources.contract import DAY_S, SourceSpec

_Origin = Annotated[Origin, require("Twilio signs the address that it calls")]


class TwilioConfig(SourceConfig):
    """A source of type twilio. Its secrets are auth tokens or shared keys."""

    type: Literal["twilio"]
    public_url: _Origin = Field(
        "",
        validate_default=True,
        description="The address that Twilio calls, without the path: https://bot.example.com. It is part of the signature.",
        examples=["https://bot.example.com"],
    )


SPEC = SourceSpec(
    "twilio",
    TwilioConfig,
    build="rfctl.sources.twilio.source:Twilio",
    stand_in="rfctl.sources.twilio.stand_in:TwilioStandIn",
    examples=(
        Example(
            "Twilio: the auth token, and the address that Twilio calls, which is part of the signature",
            "sms",
            {"secrets": ["auth token"], "public_url": "https://bot.example.com"},
        ),
    ),
    dedupe_s=DAY_S,
    accepts=("application/x-www-form-urlencoded",),
)
