"""Writes forms as Twilio does for an SMS.

https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from rfctl.sources.contract import Request
from rfctl.sources.signing import Keys
from rfctl.sources.stand_ins import Script, StandIn


class TwilioStandIn(StandIn):
    """The stand-in of `twilio`."""

    content_type = "application/x-www-form-urlencoded"

    def build_body(self, script: Script) -> bytes:
        """Return the form of one SMS."""
        own_id = f"SM{hashlib.blake2b(script.id.encode(), digest_size=16).hexdigest()}"
        fields = {
            "MessageSid": own_id,
            "SmsMessageSid": own_id,
            "AccountSid": f"AC{'0' * 32}",
            "From": f"+{script.phone}" if script.phone.isdigit() else script.phone,
            "To": self._account if self._account.startswith(("+", "whatsapp:")) else f"+{self._account}",
            "Body": script.text,
            "NumMedia": "0",
            "NumSegments": "1",
            "ApiVersion": "2010-04-01",
        }
        return urlencode(fields).encode()

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:  # noqa: ARG002 - no time
        """Return the signature over the address and the sorted fields."""
        fields = sorted(parse_qsl(request.body.decode(), keep_blank_values=True))
        url = f"{self._config.public_url.rstrip('/')}{request.path}"
        [digest] = Keys([secret], "sha1").sign((url + "".join(map("".join, fields))).encode())
        return {"X-Twilio-Signature": base64.b64encode(digest).decode()}
