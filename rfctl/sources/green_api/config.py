"""Settings of a source of type green-api."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from rfctl.section import Example, raise_faults
from rfctl.sources.config import OwnSourceConfig, find_token_fault
from rfctl.sources.contract import MEDIA_BODY_BYTES, SourceSpec


class GreenApiConfig(OwnSourceConfig):
    """A source of type green-api."""

    type: Literal["green-api"]

    @model_validator(mode="after")
    def _a_token_can_match(self) -> Self:
        raise_faults([("secrets", fault) for fault in map(find_token_fault, self.secrets) if fault])
        return self


SPEC = SourceSpec(
    "green-api",
    GreenApiConfig,
    build="rfctl.sources.green_api.source:GreenApi",
    stand_in="rfctl.sources.green_api.stand_in:GreenApiStandIn",
    examples=(
        Example(
            "GREEN-API: the instance's webhookUrlToken",
            "green",
            {"secrets": ["webhookUrlToken"]},
        ),
    ),
    max_body_bytes=MEDIA_BODY_BYTES,
)
