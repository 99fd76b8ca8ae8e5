"""Maps a sender's second id (a WhatsApp user id, an `@lid`) to the phone number seen with it earlier.

WhatsApp hides the number of people who chose a user name, and then sends a business-scoped id alone; a gateway
names an `@lid` with the number or without it. Sources put that id into `Message.alias`. An alias expires a month
after its last use. No message is lost with it, but the person then has two batches. A message that comes twice, and whose
sender's phone becomes known in between, is stored twice.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from rfctl.model.message import Message
from rfctl.store import replies
from rfctl.store.keys import CommonKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection

_LIFETIME_S = 30 * 86_400
_FRESH_S = 3600.0
"""What we wrote within this time is not written again: most messages name both."""
_MAX_FRESH = 10_000


class Aliases:
    """Phone numbers by second id, in one Redis. `clock` counts seconds."""

    def __init__(
        self, connection: Connection, keys: CommonKeys, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._clock = clock
        self._fresh: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def learn_and_resolve(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Store which phone each second id belongs to, and look up the phones that are missing.

        Returns the messages in their order, each under its sender's phone where that is known. Raises RfctlError.
        """
        pairs = {self._key(message): message.phone for message in messages if _names_both(message)}
        new = {key: phone for key, phone in pairs.items() if not self._is_fresh(key, phone)}
        missing = list({self._key(message) for message in messages if _has_no_phone(message)})
        if not new and not missing:
            return messages
        commands: list[Command] = [("SET", key, phone, "EX", _LIFETIME_S) for key, phone in new.items()]
        commands += [("GETEX", key, "EX", _LIFETIME_S) for key in missing]
        answers = await self._connection.calls(commands)
        self._remember(new)
        phones = {
            key: replies.text(phone) for key, phone in zip(missing, answers[len(new) :], strict=True) if phone
        }
        return [self._under_phone(message, phones) for message in messages]

    def _under_phone(self, message: Message, phones: dict[str, str]) -> Message:
        if not _has_no_phone(message):
            return message
        return msgspec.structs.replace(message, phone=phones.get(self._key(message), message.phone))

    def _key(self, message: Message) -> str:
        return self._keys.alias(message.channel, message.alias)

    def _is_fresh(self, key: str, phone: str) -> bool:
        written, at = self._fresh.get(key, ("", 0.0))
        return written == phone and self._clock() - at < _FRESH_S

    def _remember(self, phones: dict[str, str]) -> None:
        for key, phone in phones.items():
            self._fresh[key] = (phone, self._clock())
            self._fresh.move_to_end(key)
        while len(self._fresh) > _MAX_FRESH:
            self._fresh.popitem(last=False)


def _names_both(message: Message) -> bool:
    return bool(message.alias) and message.alias != message.phone


def _has_no_phone(message: Message) -> bool:
    return bool(message.alias) and message.alias == message.phone
