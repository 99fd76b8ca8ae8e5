"""Settings of a source of type green-api."""

from __future__ import annotations

from typing import Literal

from rfctl.section import Example
from rfctl.sources.config import SourceConfig
from rfctl.sources.contract import MEDIA_BODY_BYTES, SourceSpec


class GreenApiConfig(SourceConfig):
    """A source of type green-api."""

    type: Literal["green-api"]


SPEC = SourceSpec(
    "green-api",
    GreenApiConfig,
    build="rfctl.sources.green_api.source:GreenApi",
    examples=(
        Example(
            "GREEN-API: the instance's webhookUrlToken",
            "green",
            {"secrets": ["webhookUrlToken"]},
        ),
    ),
    max_body_bytes=MEDIA_BODY_BYTES,
)
