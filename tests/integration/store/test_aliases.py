"""A sender with two ids: under which phone the messages come that name only the second id."""

from __future__ import annotations

import pytest

from rfctl.model.message import Message
from rfctl.store.aliases import Aliases
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.keys import COMMON

BSUID = "US.13491208655302741918"
PHONE = "79001234567"


def message(text: str, phone: str, alias: str = BSUID, channel: str = "salon") -> Message:
    return Message(phone=phone, text=text, id=text, channel=channel, alias=alias)


async def phones(aliases: Aliases, *messages: Message) -> list[str]:
    return [resolved.phone for resolved in await aliases.learn_and_resolve(messages)]


@pytest.mark.parametrize("shards", [0, 4])
async def test_message_with_the_second_id_alone_joins_the_batch_of_the_phone(
    connection: Connection, shards: int
) -> None:
    batches = make_rig(connection, shards)
    await batches.add([message("a", PHONE)])
    await batches.add([message("b", BSUID)])
    await batches.drain("flush")
    [merged] = await batches.collect()
    assert (merged.phone, merged.text) == (PHONE, "a b")


async def test_alias_learned_in_a_call_applies_to_the_whole_call(connection: Connection) -> None:
    assert await phones(Aliases(connection, COMMON), message("a", BSUID), message("b", PHONE)) == [
        PHONE,
        PHONE,
    ]


async def test_sender_without_a_known_phone_goes_by_the_id(connection: Connection) -> None:
    assert await phones(Aliases(connection, COMMON), message("a", BSUID), message("b", "7", alias="")) == [
        BSUID,
        "7",
    ]
    assert await connection.call("DBSIZE") == 0


async def test_alias_holds_for_every_daemon_and_for_one_source(connection: Connection) -> None:
    await Aliases(connection, COMMON).learn_and_resolve([message("a", PHONE)])
    other = Aliases(connection, COMMON)
    assert await phones(other, message("b", BSUID), message("c", BSUID, channel="barber")) == [PHONE, BSUID]


async def test_alias_is_written_once_an_hour_and_a_new_phone_at_once(connection: Connection) -> None:
    now = [0.0]
    aliases, key = Aliases(connection, COMMON, lambda: now[0]), COMMON.alias("salon", BSUID)
    await aliases.learn_and_resolve([message("a", PHONE)])
    await connection.call("DEL", key)
    await aliases.learn_and_resolve([message("b", PHONE)])
    assert await connection.call("GET", key) is None
    now[0] = 3600.0
    await aliases.learn_and_resolve([message("c", PHONE)])
    assert await connection.call("GET", key) == PHONE.encode()
    await aliases.learn_and_resolve([message("d", "49151")])
    assert await connection.call("GET", key) == b"49151"


async def test_alias_expires_a_month_after_its_last_use(connection: Connection) -> None:
    await Aliases(connection, COMMON).learn_and_resolve([message("a", PHONE)])
    key = COMMON.alias("salon", BSUID)
    assert 29 * 86_400 < await connection.call("TTL", key) <= 30 * 86_400
    await connection.call("EXPIRE", key, 60)
    await Aliases(connection, COMMON).learn_and_resolve([message("b", BSUID)])
    assert await connection.call("TTL", key) > 29 * 86_400


async def test_memory_of_written_aliases_is_bounded(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.store.aliases._MAX_FRESH", 2)
    aliases = Aliases(connection, COMMON)
    await aliases.learn_and_resolve([message(f"{n}", f"7{n}", alias=f"id{n}") for n in range(3)])
    await connection.call("FLUSHDB")
    await aliases.learn_and_resolve([message(f"{n}", f"7{n}", alias=f"id{n}") for n in range(3)])
    assert await connection.call("EXISTS", COMMON.alias("salon", "id0")) == 1, "the oldest was forgotten"
    assert await connection.call("EXISTS", COMMON.alias("salon", "id2")) == 0
