"""Settings of a source of type telegram."""

from __future__ import annotations

from typing import Literal

from rfctl.section import Example
from rfctl.sources.config import SourceConfig
from rfctl.sources.contract import SourceSpec


class TelegramConfig(SourceConfig):
    """A source of type telegram."""

    type: Literal["telegram"]


SPEC = SourceSpec(
    "telegram",
    TelegramConfig,
    build="rfctl.sources.telegram.source:Telegram",
    examples=(
        Example(
            "Telegram: the secret_token that setWebhook was given",
            "telegram",
            {"secrets": ["a_secret_token"]},
        ),
    ),
)
