"""Writes updates as Telegram does for a private chat.

https://core.telegram.org/bots/api#update
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rfctl.sources.contract import Request
from rfctl.sources.stand_ins import Script, StandIn

_LARGEST = 1 << 52
"""A user's id has at most 52 bits."""


class TelegramStandIn(StandIn):
    """The stand-in of `telegram`."""

    def build_body(self, script: Script) -> bytes:
        """Return an update with one text. Raises ValueError for a phone that is no id of a user."""
        if not script.phone.isdigit() or int(script.phone) >= _LARGEST:
            raise ValueError(f"{script.phone} is no id of a Telegram user: give a whole number as --phone")
        user = {"id": int(script.phone), "is_bot": False, "first_name": "Simulated"}
        message = {
            "message_id": script.number,
            "from": user,
            "chat": {"id": int(script.phone), "first_name": "Simulated", "type": "private"},
            "date": script.at_s,
            "text": script.text,
        }
        return msgspec.json.encode({"update_id": script.number, "message": message})

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:  # noqa: ARG002 - a token alone
        """Return the secret token of setWebhook."""
        return {"X-Telegram-Bot-Api-Secret-Token": secret}
