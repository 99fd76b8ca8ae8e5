"""A Twilio form by its fields: what kind of message it is, and what it says. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from rfctl.model.message import Media
from rfctl.sources.forms import Answers, format_form, read_form
from rfctl.sources.parsing import build_metadata, first_nonempty, normalize_type
from rfctl.sources.twilio.fields import read_address, read_fields

_INCOMING = ("", "received", "receiving")
_STATUSES = frozenset({
    "accepted", "scheduled", "canceled", "queued", "sending", "sent", "delivered", "undelivered", "failed", "read",
    "partially_delivered",
})  # fmt: skip
"""What becomes of our own messages (https://www.twilio.com/docs/messaging/api/message-resource)."""
_MEDIA_TYPES = {"image": "image", "audio": "audio", "video": "video"}


class MessageForm:
    """A message's form; a field that is not there is "", of one that is repeated the first counts."""

    def __init__(self, body: bytes) -> None:
        self.fields = read_fields(body, "replace")
        self._first: Mapping[str, str] = dict(reversed(self.fields))

    def __getitem__(self, name: str) -> str:
        return self._first.get(name, "")

    @property
    def id(self) -> str:
        """The message's id, or ""."""
        return first_nonempty(self["MessageSid"], self["SmsMessageSid"], self["SmsSid"])

    @property
    def status(self) -> str:
        """How far a message of ours has come, or ""."""
        return first_nonempty(self["MessageStatus"], self["SmsStatus"])

    @property
    def is_status(self) -> bool:
        """Whether it tells of a message of ours."""
        return "Body" not in self._first and self.status in _STATUSES

    @property
    def unknown_status(self) -> str:
        """A status that rfctl does not know, or ""."""
        is_known = "Body" in self._first or self.status in (*_INCOMING, *_STATUSES)
        return "" if is_known else self.status

    @property
    def is_call(self) -> bool:
        """Whether it tells of a call."""
        return "CallSid" in self._first and not self.id

    @property
    def button(self) -> str:
        """What the pressed button or the chosen row is called in the program that sent it, or ""."""
        return first_nonempty(self["ButtonPayload"], self["ListId"])

    @cached_property
    def answers(self) -> Answers:
        """What was filled into a form of WhatsApp; nothing where it is another message."""
        return read_form(self["FlowData"]) or read_form(self["InteractiveData"])

    @property
    def text(self) -> str:
        """What the person wrote, chose or filled in."""
        if self.answers:
            return format_form(self.answers)
        return first_nonempty(self["ButtonText"], self["ListTitle"], self["Body"])

    @property
    def media(self) -> tuple[Media, ...]:
        """The files."""
        numbers = itertools.takewhile(
            lambda number: self[f"MediaUrl{number}"] or self[f"MediaContentType{number}"], itertools.count()
        )
        return tuple(
            Media(
                url=self[f"MediaUrl{number}"],
                mime=self[f"MediaContentType{number}"],
                caption="" if number else self["Body"],
            )
            for number in numbers
        )

    @property
    def location(self) -> dict[str, Any] | None:
        """The place, or None."""
        if not (self["Latitude"] and self["Longitude"]):
            return None
        place = {"latitude": _degrees(self["Latitude"]), "longitude": _degrees(self["Longitude"])}
        venue = {"name": self["Label"], "address": self["Address"]}
        return {**place, **{name: value for name, value in venue.items() if value}}

    @property
    def type(self) -> str:
        """What the message is."""
        if self.answers:
            return "form"
        if first_nonempty(self.button, self["ButtonText"], self["ListTitle"]):
            return "button"
        if self.location is not None:
            return "location"
        kind = normalize_type(self["MessageType"]) if self["MessageType"] else "text"
        if self.media and kind != "sticker":
            return find_media_type(self.media[0].mime)
        return kind


def build_form_metadata(form: MessageForm) -> bytes:
    """Return the metadata of a form: the facts, and its fields as they came."""
    values: dict[str, list[str]] = {}
    for name, value in form.fields:
        values.setdefault(name, []).append(value)
    raw = {name: several if len(several) > 1 else several[0] for name, several in values.items()}
    return build_metadata(
        msgspec.json.encode(raw),
        senderName=form["ProfileName"],
        userId=read_address(form["ExternalUserId"])[1],
        location=form.location,
        button=form.button,
        answers=form.answers,
    )


def find_media_type(mime: str) -> str:
    """Return our type for a file of this MIME type."""
    kind = mime.partition("/")[0].lower()
    if "vcard" in mime.lower():
        return "contacts"
    return _MEDIA_TYPES.get(kind, "document")


def _degrees(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
