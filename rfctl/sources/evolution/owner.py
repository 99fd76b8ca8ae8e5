"""Whether something that an instance sent was written by hand. Pure.

An instance reports its own messages with `fromMe`: what the owner types on the phone, and what the API sends for the bot.
`source` is the kind of device, by the form of the message's id. The API connects as WhatsApp Web does, and so does a
person at a browser: these two cannot be told apart, and none of them counts as written by hand.
"""

from __future__ import annotations

from rfctl.sources.evolution.schema import Key

_DEVICES_OF_PEOPLE = frozenset({"ios", "android", "desktop"})


def is_by_hand(device: str | None, key: Key) -> bool:
    """Say whether a person of our side wrote this to one person: surely on a phone, or in the desktop app."""
    return device in _DEVICES_OF_PEOPLE and not key.chat


def is_our_chat(key: Key, sender: str | None) -> bool:
    """Say whether the chat of this key is the one with ourselves: so the other person's phone calls it."""
    ours = Key(remoteJid=sender).phone
    return not ours or key.phone == ours or key.phone.endswith("@lid")
