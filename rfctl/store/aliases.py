"""Maps a sender's second id (a WhatsApp user id, an `@lid`) to the phone number seen with it earlier.

WhatsApp hides the number of people who chose a user name, and then sends a business-scoped id alone; a gateway
names an `@lid` with the number or without it. Sources put that id into `Message.alias`. An alias expires a month
after its last use. No message is lost with it, but the person then has two batches. A message that comes twice, and whose
sender's phone becomes known in between, is stored twice.

A number gets a new owner now and then. So each phone has the second id by which it was named last, of each kind. An
alias counts only while its phone still has it: whoever writes by the older id alone is never put under the new owner.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from rfctl.model.message import Message, Renaming
from rfctl.store import replies
from rfctl.store.keys import CommonKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection

_LIFETIME_S = 30 * 86_400
_FRESH_S = 3600.0
"""What we wrote within this time is not written again: most messages name both."""
_MAX_FRESH = 10_000
_KINDS = ("lid",)
_PAGE = 1_000


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
        pairs = [
            (key, value)
            for message in messages
            if _names_both(message)
            for key, value in self._links(message)
        ]
        new = {key: value for key, value in dict(pairs).items() if not self._is_fresh(key, value)}
        missing = {self._key(message): message for message in messages if has_no_phone(message)}
        if not new and not missing:
            return messages
        commands: list[Command] = [("SET", key, value, "EX", _LIFETIME_S) for key, value in new.items()]
        commands += [("GET", key) for key in missing]
        answers = await self._connection.calls(commands)
        self._remember(new)
        phones = {
            key: replies.text(phone)
            for key, phone in zip(missing, answers[len(new) :], strict=True)
            if phone is not None
        }
        lasting = await self._without_ended(missing, phones)
        return [self._under_phone(message, lasting) for message in messages]

    async def move(self, renamings: Sequence[Renaming]) -> None:
        """Put each sender's new second id in the place of the former one. Raises RfctlError: then all may be told again.

        A sender without a known phone stays under what they are named by.
        """
        for renaming in renamings:
            former = self._keys.alias(renaming.channel, renaming.former)
            phone = renaming.phone or await self._find_phone(renaming, former)
            if not phone:
                continue
            owner = self._keys.alias_owner(renaming.channel, phone, _kind_of(renaming.alias))
            alias = self._keys.alias(renaming.channel, renaming.alias)
            # The former one goes last: cut off before, the same is done again.
            links = {owner: renaming.alias, alias: phone}
            commands: list[Command] = [("SET", key, value, "EX", _LIFETIME_S) for key, value in links.items()]
            await self._connection.calls([*commands, ("DEL", former)])
            self._fresh.pop(former, None)
            self._remember(links)

    async def _find_phone(self, renaming: Renaming, former: str) -> str:
        """Return the phone that the former second id still leads to, or ""."""
        answer = await self._connection.call("GET", former)
        if answer is None:
            return ""
        phone = replies.text(answer)
        owner = self._keys.alias_owner(renaming.channel, phone, _kind_of(renaming.former))
        last = await self._connection.call("GET", owner)
        # The new one, where a move was cut off.
        is_theirs = last is None or replies.text(last) in (renaming.former, renaming.alias)
        return phone if is_theirs else ""

    async def forget(self, phone: str, channels: Collection[str]) -> int:
        """Delete every second id that leads to a phone; returns how many. It goes through the names of all keys.

        What a phone was named by last is looked up under the names of these sources. Raises RfctlError.
        """
        owners = [
            self._keys.alias_owner(channel, phone, kind) for channel in channels for kind in ("", *_KINDS)
        ]
        if owners:
            await self._connection.call("DEL", *owners)
        count, cursor, is_begun = 0, "0", False
        while cursor != "0" or not is_begun:
            reply = await self._connection.call(
                "SCAN", cursor, "MATCH", self._keys.any_alias, "COUNT", _PAGE, "TYPE", "string"
            )
            position, page = replies.array(reply)
            cursor, is_begun, keys = replies.text(position), True, replies.texts(page)
            values = await self._connection.calls([("GET", key) for key in keys])
            theirs = [key for key, value in zip(keys, values, strict=True) if replies.text(value) == phone]
            for key in theirs:
                count += replies.integer(await self._connection.call("DEL", key))
        return count

    async def _without_ended(self, messages: dict[str, Message], phones: dict[str, str]) -> dict[str, str]:
        """Return the phones that still have the second id by which a message names them; and let these live on."""
        if not phones:
            return phones
        owners = {key: self._owner_key(messages[key], phone) for key, phone in phones.items()}
        answers = await self._connection.calls([("GET", owner) for owner in owners.values()])
        valid = {
            key: phones[key]
            for key, alias in zip(owners, answers, strict=True)
            if alias is None or replies.text(alias) == messages[key].alias
        }
        if valid:
            lasting = [key for alias_key in valid for key in (owners[alias_key], alias_key)]
            await self._connection.calls([("EXPIRE", key, _LIFETIME_S) for key in lasting])
        return valid

    def _links(self, message: Message) -> list[tuple[str, str]]:
        """Return what a message with both ids says, the owner first: cut off there, nobody is put under another."""
        return [(self._owner_key(message, message.phone), message.alias), (self._key(message), message.phone)]

    def _owner_key(self, message: Message, phone: str) -> str:
        return self._keys.alias_owner(message.channel, phone, _kind_of(message.alias))

    def _under_phone(self, message: Message, phones: dict[str, str]) -> Message:
        if not has_no_phone(message):
            return message
        return msgspec.structs.replace(message, phone=phones.get(self._key(message), message.phone))

    def _key(self, message: Message) -> str:
        return self._keys.alias(message.channel, message.alias)

    def _is_fresh(self, key: str, value: str) -> bool:
        written, at = self._fresh.get(key, ("", 0.0))
        return written == value and self._clock() - at < _FRESH_S

    def _remember(self, links: dict[str, str]) -> None:
        for key, value in links.items():
            self._fresh[key] = (value, self._clock())
            self._fresh.move_to_end(key)
        while len(self._fresh) > _MAX_FRESH:
            self._fresh.popitem(last=False)


def _kind_of(alias: str) -> str:
    """Return what a second id is: `lid`, or "" for the provider's own user id. A person may have one of each."""
    return alias.rpartition("@")[2] if "@" in alias else ""


def _names_both(message: Message) -> bool:
    return bool(message.alias) and message.alias != message.phone


def has_no_phone(message: Message) -> bool:
    """Say whether a message names its sender by a second id alone."""
    return bool(message.alias) and message.alias == message.phone
