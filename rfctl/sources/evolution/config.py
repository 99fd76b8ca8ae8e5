"""Settings of a source of type evolution."""

from __future__ import annotations

from typing import Literal

from rfctl.section import Example
from rfctl.sources.config import OwnSourceConfig
from rfctl.sources.contract import MEDIA_BODY_BYTES, SourceSpec


class EvolutionConfig(OwnSourceConfig):
    """A source of type evolution."""

    type: Literal["evolution"]


SPEC = SourceSpec(
    "evolution",
    EvolutionConfig,
    build="rfctl.sources.evolution.source:Evolution",
    stand_in="rfctl.sources.evolution.stand_in:EvolutionStandIn",
    examples=(
        Example(
            "Evolution API: the webhook's headers.jwt_key, or the value of its fixed Authorization or apikey header",
            "evolution",
            {"secrets": ["jwt key"]},
        ),
    ),
    max_body_bytes=MEDIA_BODY_BYTES,
)
