"""The short way through a Twilio form that is UTF-8, repeats no field and holds a text. Pure.

The form is read once, for its signature and for its message. Anything unusual makes these functions return None. The
source then goes the long way, so both ways give the same result.
"""

from __future__ import annotations

import re
from binascii import unhexlify

import msgspec

from rfctl.model.message import Message
from rfctl.sources.contract import Common, UnparsedError
from rfctl.sources.cut_texts import is_cut_sms
from rfctl.sources.parsing import build_id_scope, check_limits
from rfctl.sources.twilio.fields import MAX_FIELDS, read_address

Form = dict[str, str]
"""The fields of a form by their names, in its order."""
_MOST_BYTES = 65_536
_ESCAPES = re.compile("(?:%[0-9a-fA-F][0-9a-fA-F])++")
_UNUSUAL = frozenset({
    "ButtonPayload", "ButtonText", "CallSid", "EventType", "ExternalUserId", "FlowData", "InteractiveData", "Latitude", "ListId", "ListTitle",
    "Longitude", "MediaContentType0", "MediaUrl0", "OriginalRepliedMessageSid",
})  # fmt: skip
"""Fields that make more of a message than its text."""


class _Metadata(msgspec.Struct, omit_defaults=True, gc=False):
    senderName: str = ""  # noqa: N815 - the stored name
    raw: Form = {}


_encode = msgspec.json.Encoder().encode


def read_form(body: bytes) -> Form | None:
    """Return the fields of a short form of ASCII, whose escapes are UTF-8; None for any other body."""
    if len(body) > _MOST_BYTES or not body.isascii() or body.count(b"&") >= MAX_FIELDS:
        return None
    form: Form = {}
    pairs = body.decode().replace("+", " ").split("&")
    try:
        for pair in pairs:
            name, _, value = pair.partition("=")
            form[name] = _ESCAPES.sub(_decode_escapes, value) if "%" in value else value
    except UnicodeDecodeError:
        return None
    is_unusual = len(form) < len(pairs) or "" in form or "%" in "".join(form)
    return None if is_unusual else form


def _decode_escapes(match: re.Match[str]) -> str:
    return unhexlify(match[0].replace("%", "")).decode()


def join_form(form: Form) -> bytes:
    """Return the names and values as they are signed."""
    return "".join([name + form[name] for name in sorted(form)]).encode()


def read_plain(form: Form, common: Common) -> Message | None:
    """Return the message of a form that has a text and nothing unusual, None for any other."""
    if "Body" not in form or not _UNUSUAL.isdisjoint(form) or form.get("MessageType", "text") != "text":
        return None
    platform, phone = read_address(form.get("From", ""))
    text = form["Body"]
    message = Message(
        phone=phone,
        text=text,
        id=form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid", ""),
        channel=common.channel,
        company=common.company,
        platform=platform,
        account=read_address(form.get("To", ""))[1],
        metadata=_encode(_Metadata(form.get("ProfileName", ""), form)),
        id_scope=build_id_scope("twilio", form.get("AccountSid", ""), common.id_scope),
        cut=platform == "sms" and is_cut_sms(text),
    )
    try:
        return check_limits(message, common.max_text_bytes)
    except UnparsedError:
        return None
