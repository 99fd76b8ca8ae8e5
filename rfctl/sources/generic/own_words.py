"""Words that somebody on our side wrote by hand, in a body that a map counts as our own. Pure, and nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rfctl.model.message import normalize_phone
from rfctl.sources.contract import UnparsedError
from rfctl.sources.generic.conditions import Condition, Stack, compile_places
from rfctl.sources.generic.facts import read_name
from rfctl.sources.generic.json_path import Place, find_first

_OF_MANY = ("@g.us", "@broadcast", "@newsletter")
"""How the ids of WhatsApp end that name no person."""


class OwnWords:
    """Tells what a person wrote by hand from what the bot sent, and says to whom it is.

    The map has `own_phone` and `by_hand_if`: without the two, own words hold nobody.
    """

    def __init__(self, mapping: Mapping[str, Any], depth: int) -> None:
        self._by_hand = Condition.compile(mapping["by_hand_if"], depth)
        self._phone = compile_places(mapping["own_phone"], depth)
        self._names_groups = "chat_if" in mapping

    @property
    def places(self) -> list[Place]:
        """Where it looks."""
        return self._by_hand.places + self._phone

    def is_by_hand(self, stack: Stack) -> bool:
        """Say whether an element that is our own was surely written by hand."""
        return self._by_hand.holds(stack)

    def find_phone(self, stack: Stack) -> str:
        """Return the phone of the person whom it is to. Raises UnparsedError without one."""
        if phone := normalize_phone(read_name({"own_phone": find_first(stack, self._phone)}, "own_phone")):
            return phone
        raise UnparsedError("nothing at own_phone says whom our own words are to")

    def is_to_many(self, phone: str, chat: str) -> bool:
        """Say whether it is to a group, by the phone and the chat of its body: then it holds nobody."""
        return phone.endswith(_OF_MANY) or (
            self._names_groups and bool(chat) and normalize_phone(chat) == phone
        )


def build_own_words(mapping: Mapping[str, Any], depth: int) -> OwnWords | None:
    """Return what reads the own words of a map; None where the map cannot tell who wrote them."""
    return OwnWords(mapping, depth) if {"own_phone", "by_hand_if"} <= mapping.keys() else None
