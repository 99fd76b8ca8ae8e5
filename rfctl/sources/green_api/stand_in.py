"""Writes notifications as GREEN-API does.

https://green-api.com/en/docs/api/receiving/notifications-format/
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rfctl.sources.contract import Request
from rfctl.sources.stand_ins import Script, StandIn


class GreenApiStandIn(StandIn):
    """The stand-in of `green-api`."""

    def build_body(self, script: Script) -> bytes:
        """Return the notification of one text."""
        account = int(self._account) if self._account.isdigit() else self._account
        chat = f"{script.phone}@c.us"
        notification = {
            "typeWebhook": "incomingMessageReceived",
            "instanceData": {"idInstance": account, "wid": "15550000000@c.us", "typeInstance": "whatsapp"},
            "timestamp": script.at_s,
            "idMessage": script.id,
            "senderData": {
                "chatId": chat,
                "sender": chat,
                "chatName": "Simulated",
                "senderName": "Simulated",
            },
            "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": script.text}},
        }
        return msgspec.json.encode(notification)

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:  # noqa: ARG002 - a token alone
        """Return the token of the instance."""
        return {"Authorization": f"Bearer {secret}"}
