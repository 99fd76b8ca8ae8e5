"""Finds the answer to a request that asks for words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from rfctl.sources.auth.places import decode_or_none, find_value, format_value
from rfctl.sources.contract import Reply, Request
from rfctl.sources.handshakes import find_challenge

_PLAIN = re.compile(r"[!-;=?-~]{1,512}")
"""A challenge that is no page: printable ASCII without white space and angle brackets."""


class Confirmation(msgspec.Struct, frozen=True):
    """The answer to a body that has this value at this path."""

    steps: tuple[str, ...]
    value: str
    text: str


class Answers(msgspec.Struct, frozen=True):
    """What the settings say about answers. `challenge` is the path of a word that is sent back, () for none."""

    verify_token: str = ""
    challenge: tuple[str, ...] = ()
    challenge_format: Literal["text", "json"] = "text"
    confirmations: Sequence[Confirmation] = ()

    def find_challenge(self, request: Request) -> str | None:
        """Return the challenge of a GET that names the verify token; None rejects it."""
        return find_challenge(request.query, self.verify_token)

    def find_reply(self, body: bytes) -> Reply | None:
        """Return the answer to a body that asks for words; None for any other."""
        if not (self.challenge or self.confirmations):
            return None
        top = decode_or_none(body)
        return self._find_confirmation(top) or self._find_challenge_reply(top)

    def _find_confirmation(self, top: object) -> Reply | None:
        for confirmation in self.confirmations:
            if format_value(find_value(top, confirmation.steps)) == confirmation.value:
                return Reply(confirmation.text.encode())
        return None

    def _find_challenge_reply(self, top: object) -> Reply | None:
        value = format_value(find_value(top, self.challenge)) if self.challenge else None
        if value is None or _PLAIN.fullmatch(value) is None:
            return None
        if self.challenge_format == "json":
            return Reply(msgspec.json.encode({self.challenge[-1]: value}), "application/json")
        return Reply(value.encode())
