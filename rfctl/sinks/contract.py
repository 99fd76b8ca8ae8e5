"""What a sink is given and how it says what became of it.

A sink delivers one merged message and returns when the receiver has taken it. It may be given the same
message again, with the same `id`, after a crash: the id is the idempotency key. It keeps no queue and
retries nothing; when and whether to try again is the forwarder's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from rfctl.errors import ANSWER_IS_NO, RfctlError
from rfctl.model.delivery import Delivery

_PLACE = re.compile(r"\{(company|phone|channel|account)\}")


@dataclass(frozen=True, slots=True)
class SinkProfile:
    """One configured sink. `options` are the settings that its type reads; times in ms."""

    name: str
    type: str
    timeout_ms: int = 15_000
    connect_timeout_ms: int = 5_000
    options: Mapping[str, Any] = field(default_factory=dict)


class DeliveryError(RfctlError):
    """The receiver did not take it. `fact` is one line for the history.

    `retry_after_ms` is the wait that the receiver asked for; `final` means that no later try can succeed;
    `pause` means that the receiver wants nothing any more, so that the whole sink is to stand still.
    """

    exit_status = ANSWER_IS_NO

    def __init__(
        self,
        fact: str,
        *,
        retry_after_ms: int = 0,
        final: bool = False,
        pause: bool = False,
        next: str = "",  # noqa: A002
    ) -> None:
        super().__init__(fact, next=next)
        self.retry_after_ms = retry_after_ms
        self.final = final
        self.pause = pause


class Sink(Protocol):
    """One way out, set up with one `SinkProfile`; used from one event loop, by many deliveries at a time."""

    async def open(self) -> None:
        """Get ready; a receiver that is away now is no reason to fail. Raises RfctlError for wrong settings."""

    async def deliver(self, delivery: Delivery) -> None:
        """Return when the receiver has taken it. Raises DeliveryError; any other exception counts as a failure too."""

    async def close(self) -> None:
        """Let go of everything; called once."""


def payload(delivery: Delivery) -> dict[str, Any]:
    """Return the message in the shape that the Node service's worker reads.

    `metadata` is that of the first message with the facts of the batch; `originalMessages` are the stored ones.
    """
    merged = delivery.merged
    messages = merged.messages
    last = messages[-1] if messages else None
    return {
        "from": merged.phone,
        "message": merged.text,
        "companyId": _company(merged.company),
        "platform": merged.platform or "whatsapp",
        "messageId": delivery.id,
        "timestamp": merged.handed_ms,
        "metadata": {
            **_object(messages[0].metadata if messages else b"{}"),
            "messageId": last.messageId if last else "",
            "isRapidFireBatch": merged.count > 1,
            "batchSize": merged.count,
            "batchTimeSpan": merged.last_ms - merged.first_ms,
            "reason": merged.reason,
            "channel": merged.channel,
            "account": merged.account,
            "chat": merged.chat,
            "simulated": merged.simulated,
            "originalMessages": [msgspec.Raw(raw) for raw in merged.raw],
        },
    }


def encode(delivery: Delivery) -> bytes:
    """Return the payload as JSON."""
    return msgspec.json.encode(payload(delivery))


def _company(company: str) -> int | str | None:
    return int(company) if company.isascii() and company.isdigit() and len(company) < 16 else company or None


def _object(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {}


def render_template(template: str, delivery: Delivery) -> str:
    """Return a name template (queue, list, stream) with {company}, {phone}, {channel} and {account} put in, once."""
    merged = delivery.merged
    places = {
        "company": merged.company or "none",
        "phone": merged.phone,
        "channel": merged.channel,
        "account": merged.account,
    }
    return _PLACE.sub(lambda found: places[found[1]], template)
