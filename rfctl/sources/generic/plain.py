"""The short way through a generic request that holds one text and nothing unusual. Pure.

The request is decoded once. Anything unusual makes `read` return None: another field, a long value, an unusual time.
The caller then reads the request the long way, so both ways give the same result.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rfctl.model.message import (
    MAX_COMPANY_CHARS,
    MAX_ID_CHARS,
    MAX_PHONE_CHARS,
    Message,
    is_blank,
    normalize_phone,
)
from rfctl.sources.parsing import SECONDS_BELOW

# Bounded: a number of more digits may be infinite to another reader, which the long way says in words.
_Int = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
_LATEST_MS = 10**15


class _Plain(msgspec.Struct, rename={"sender": "from"}, forbid_unknown_fields=True):
    """One text. It has neither a list nor a fraction, so nothing in it can be nested or infinite."""

    sender: Annotated[str, msgspec.Meta(max_length=MAX_PHONE_CHARS)]
    message: Annotated[str, msgspec.Meta(min_length=1)]
    messageId: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]  # noqa: N815 - the provider's name
    companyId: Annotated[str, msgspec.Meta(max_length=MAX_COMPANY_CHARS)] | _Int | None = None  # noqa: N815
    timestamp: Annotated[int, msgspec.Meta(ge=0, lt=_LATEST_MS)] | None = None
    type: Literal["text"] = "text"


_decode = msgspec.json.Decoder(_Plain).decode


def read_plain(
    body: bytes,
    max_text_bytes: int,
    scope: tuple[str, ...],
    channel: str,
    company: int | str | None,
    platform: str,
) -> Message | None:
    """Return the message of a plain request, None for one that must be read the long way.

    `scope` is where the ids of this source are unique, and `company` whose a message is that names none.
    """
    if len(body) > max_text_bytes:  # else the text, which is a part of it, is short enough
        return None
    try:
        item = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    phone, text, named = normalize_phone(item.sender), item.message, item.companyId
    if not phone:
        return None
    if named == "":
        named = None
    sent_ms = item.timestamp
    if sent_ms is not None and sent_ms < SECONDS_BELOW:
        sent_ms *= 1000
    return Message(
        phone=phone,
        text="" if is_blank(text) else text,
        id=item.messageId,
        channel=channel,
        company=company if named is None else named,
        platform=platform,
        sent_ms=sent_ms,
        id_scope=(*scope, "" if named is None else str(named), phone),
    )
