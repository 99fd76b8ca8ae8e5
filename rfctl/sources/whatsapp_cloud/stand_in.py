"""Writes requests as Meta does for a WhatsApp number.

https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/payload-examples
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rfctl.sources.contract import Request
from rfctl.sources.signing import Keys
from rfctl.sources.stand_ins import Script, StandIn


class WhatsappCloudStandIn(StandIn):
    """The stand-in of `whatsapp-cloud`."""

    def build_body(self, script: Script) -> bytes:
        """Return a webhook with one text."""
        message = {
            "from": script.phone,
            "id": f"wamid.{script.id}",
            "timestamp": str(script.at_s),
            "text": {"body": script.text},
            "type": "text",
        }
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550000000", "phone_number_id": self._account},
            "contacts": [{"profile": {"name": "Simulated"}, "wa_id": script.phone}],
            "messages": [message],
        }
        entry = {"id": "100000000000000", "changes": [{"value": value, "field": "messages"}]}
        return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:  # noqa: ARG002 - Meta signs no time
        """Return the signature by the app secret."""
        [digest] = Keys([secret], "sha256").sign(request.body)
        return {"X-Hub-Signature-256": f"sha256={digest.hex()}"}
