"""Writes events as Evolution API does.

https://doc.evolution-api.com/v2/en/configuration/webhooks
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import jwt
import msgspec

from rfctl.sources.contract import Request
from rfctl.sources.stand_ins import Script, StandIn

_EXPIRES_S = 600


class EvolutionStandIn(StandIn):
    """The stand-in of `evolution`."""

    def build_body(self, script: Script) -> bytes:
        """Return the event of one text."""
        data = {
            "key": {"remoteJid": f"{script.phone}@s.whatsapp.net", "fromMe": False, "id": script.id},
            "pushName": "Simulated",
            "message": {"conversation": script.text},
            "messageType": "conversation",
            "messageTimestamp": script.at_s,
            "source": "android",
        }
        return msgspec.json.encode({"event": "messages.upsert", "instance": self._account, "data": data})

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:  # noqa: ARG002 - says nothing of it
        """Return the token that Evolution signs with the jwt_key."""
        now_s = now_ms // 1000
        claims = {"iat": now_s, "exp": now_s + _EXPIRES_S, "app": "evolution", "action": "webhook"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a short secret is a weak one is said when it is configured
            return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm='HS256')}"}
