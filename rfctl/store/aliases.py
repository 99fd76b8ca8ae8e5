"""One person, two ids: who was once named by phone and by another id is known by the phone when only that id comes.

WhatsApp hides the number of people who chose a user name, and then sends a business-scoped id alone; a gateway
names an `@lid` with the number or without, as it likes. Sources put that id into `Message.alias`. What is learnt
expires a month after it was last of use, and is no message: nothing is lost with it but that the person is two.
A message that is sent again, and whose sender has become known by phone in between, counts as another person's.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from rfctl.model.message import Message
from rfctl.store.connection import Command, Connection
from rfctl.store.keys import alias_key

_KEPT_S = 30 * 86_400
_FRESH_S = 3600.0
"""What we told Redis within this time is not told again: most messages name both."""
_MOST_FRESH = 10_000


class Aliases:
    """Who goes by which phone, in one Redis. `clock` counts seconds."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._fresh: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def learn_and_resolve(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Store which phone each second id belongs to. Returns the messages, each under its sender's phone where known.

        Raises RfctlError.
        """
        told = {_key(one): one.phone for one in messages if one.alias and one.alias != one.phone}
        new = {key: phone for key, phone in told.items() if not self._is_fresh(key, phone)}
        asked = list({_key(one) for one in messages if _has_no_phone(one)})
        if not new and not asked:
            return messages
        calls: list[Command] = [("SET", key, phone, "EX", _KEPT_S) for key, phone in new.items()]
        calls += [("GETEX", key, "EX", _KEPT_S) for key in asked]
        answers = await self._connection.calls(calls)
        self._remember(new)
        phones = {key: phone.decode() for key, phone in zip(asked, answers[len(new) :], strict=True) if phone}
        return [_under(one, phones) for one in messages]

    def _is_fresh(self, key: str, phone: str) -> bool:
        known, told_at = self._fresh.get(key, ("", 0.0))
        return known == phone and self._clock() - told_at < _FRESH_S

    def _remember(self, phones: dict[str, str]) -> None:
        for key, phone in phones.items():
            self._fresh[key] = (phone, self._clock())
            self._fresh.move_to_end(key)
        while len(self._fresh) > _MOST_FRESH:
            self._fresh.popitem(last=False)


def _key(message: Message) -> str:
    return alias_key(message.channel, message.alias)


def _has_no_phone(message: Message) -> bool:
    return bool(message.alias) and message.alias == message.phone


def _under(message: Message, phones: dict[str, str]) -> Message:
    if not _has_no_phone(message):
        return message
    return msgspec.structs.replace(message, phone=phones.get(_key(message), message.phone))
