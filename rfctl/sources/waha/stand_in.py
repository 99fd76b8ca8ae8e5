"""Writes events as WAHA does.

https://waha.devlike.pro/docs/how-to/events/
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rfctl.sources.contract import Request
from rfctl.sources.signing import Keys
from rfctl.sources.stand_ins import Script, StandIn


class WahaStandIn(StandIn):
    """The stand-in of `waha`."""

    def build_body(self, script: Script) -> bytes:
        """Return the event of one text."""
        payload = {
            "id": f"false_{script.phone}@c.us_{script.id}",
            "timestamp": script.at_s,
            "from": f"{script.phone}@c.us",
            "fromMe": False,
            "to": "15550000000@c.us",
            "body": script.text,
            "hasMedia": False,
        }
        event = {
            "id": f"evt_{script.id}",
            "event": "message",
            "session": self._account,
            "engine": "WEBJS",
            "payload": payload,
        }
        return msgspec.json.encode(event)

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:
        """Return the signature over the body."""
        [digest] = Keys([secret], "sha512").sign(request.body)
        return {
            "X-Webhook-Hmac": digest.hex(),
            "X-Webhook-Hmac-Algorithm": "sha512",
            "X-Webhook-Timestamp": str(now_ms),
        }
