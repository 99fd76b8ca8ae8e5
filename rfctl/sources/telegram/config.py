"""Settings of a source of type telegram."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import field_validator

from rfctl.section import Example
from rfctl.sources.config import OwnSourceConfig
from rfctl.sources.contract import SourceSpec


class TelegramConfig(OwnSourceConfig):
    """A source of type telegram."""

    type: Literal["telegram"]

    @field_validator("secrets")
    @classmethod
    def _is_secret_token(cls, secrets: list[str]) -> list[str]:
        if not all(re.fullmatch("[A-Za-z0-9_-]{1,256}", secret) for secret in secrets):
            raise ValueError(
                "Telegram takes a secret_token of 1 to 256 of A-Z a-z 0-9 _ - alone, and sends no other"
            )
        return secrets


SPEC = SourceSpec(
    "telegram",
    TelegramConfig,
    build="rfctl.sources.telegram.source:Telegram",
    stand_in="rfctl.sources.telegram.stand_in:TelegramStandIn",
    examples=(
        Example(
            "Telegram: the secret_token that setWebhook was given",
            "telegram",
            {"secrets": ["a_secret_token"]},
        ),
    ),
)
