"""A sender with two ids: under which phone the messages come that name only the second id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rfctl.errors import RedisUnreachableError
from rfctl.model.message import Message, Renaming
from rfctl.store.aliases import Aliases
from rfctl.store.connection import Command, Connection
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
    monkeypatch.setattr("rfctl.store.aliases._MAX_FRESH", 4)
    aliases = Aliases(connection, COMMON)
    await aliases.learn_and_resolve([message(f"{n}", f"7{n}", alias=f"id{n}") for n in range(3)])
    await connection.call("FLUSHDB")
    await aliases.learn_and_resolve([message(f"{n}", f"7{n}", alias=f"id{n}") for n in range(3)])
    assert await connection.call("EXISTS", COMMON.alias("salon", "id0")) == 1, "the oldest was forgotten"
    assert await connection.call("EXISTS", COMMON.alias("salon", "id2")) == 0


async def test_number_with_a_new_owner_ends_the_older_alias(connection: Connection) -> None:
    rig = make_rig(connection)
    await rig.add([message("hello from A", PHONE)])
    await rig.drain()
    await rig.add([message("hello from B", PHONE, "US.2")])
    await rig.add([message("A again", BSUID)])
    await rig.add([message("B again", "US.2", "US.2")])
    await rig.drain()
    assert sorted((merged.phone, merged.text) for merged in await rig.collect()) == [
        (PHONE, "hello from A"),
        (PHONE, "hello from B B again"),
        (BSUID, "A again"),
    ]


async def test_second_ids_of_two_kinds_lead_to_one_phone(connection: Connection) -> None:
    aliases = Aliases(connection, COMMON)
    await phones(aliases, message("a", PHONE), message("b", PHONE, "123@lid"))
    assert await phones(aliases, message("c", BSUID), message("d", "123@lid", "123@lid")) == [PHONE, PHONE]
    await phones(aliases, message("e", PHONE, "456@lid"))
    assert await phones(aliases, message("f", BSUID), message("g", "123@lid", "123@lid")) == [
        PHONE,
        "123@lid",
    ]


async def test_number_that_comes_back_to_its_owner_is_theirs_again(connection: Connection) -> None:
    aliases = Aliases(connection, COMMON)
    for alias in (BSUID, "US.2", BSUID):
        await phones(aliases, message("x", PHONE, alias))
        assert await phones(aliases, message("y", alias, alias)) == [PHONE]
    assert await phones(aliases, message("z", "US.2", "US.2")) == ["US.2"]


async def test_use_of_an_ended_alias_does_not_keep_it(connection: Connection) -> None:
    aliases = Aliases(connection, COMMON)
    await phones(aliases, message("a", PHONE))
    await phones(aliases, message("b", PHONE, "US.2"))
    key = COMMON.alias("salon", BSUID)
    await connection.call("EXPIRE", key, 60)
    await phones(aliases, message("c", BSUID))
    assert await connection.call("TTL", key) <= 60


async def test_two_daemons_agree_who_has_a_number(connection: Connection) -> None:
    first, second = Aliases(connection, COMMON), Aliases(connection, COMMON)
    await phones(first, message("a", PHONE))
    await phones(second, message("b", PHONE, "US.2"))
    assert await phones(first, message("c", BSUID)) == [BSUID]
    assert await phones(first, message("d", "US.2", "US.2")) == [PHONE]


async def test_alias_of_layout_1_still_leads_to_its_phone(connection: Connection) -> None:
    await connection.call("SET", COMMON.alias("salon", BSUID), PHONE)
    assert await phones(Aliases(connection, COMMON), message("a", BSUID)) == [PHONE]


async def test_new_id_of_a_person_takes_the_place_of_the_former_one(connection: Connection) -> None:
    rig = make_rig(connection)
    await rig.add([message("before", PHONE)])
    for _ in range(2):  # a provider may say it again
        await rig.batcher.move_aliases([Renaming("salon", "KZ.98", BSUID)])
    await rig.add([message("behind", "KZ.98", "KZ.98"), message("old", BSUID)])
    await rig.drain()
    assert sorted((merged.phone, merged.text) for merged in await rig.collect()) == [
        (PHONE, "before behind"),
        (BSUID, "old"),
    ]
    assert await connection.call("TTL", COMMON.alias("salon", "KZ.98")) > 29 * 86_400


async def test_new_id_with_a_new_number_leads_to_that_one(connection: Connection) -> None:
    aliases = Aliases(connection, COMMON)
    await aliases.learn_and_resolve([message("a", PHONE)])
    await aliases.move([Renaming("salon", "KZ.98", BSUID, "79002")])
    assert await phones(aliases, message("b", "KZ.98", "KZ.98")) == ["79002"]


async def test_id_that_somebody_else_has_by_now_is_not_moved(connection: Connection) -> None:
    aliases = Aliases(connection, COMMON)
    await aliases.learn_and_resolve([message("a", PHONE)])
    await aliases.learn_and_resolve([message("b", PHONE, "US.2")])
    await aliases.move([Renaming("salon", "KZ.98", BSUID), Renaming("barber", "KZ.99", "US.2")])
    assert await phones(aliases, message("c", "KZ.98", "KZ.98"), message("d", "US.2", "US.2")) == [
        "KZ.98",
        PHONE,
    ]


@pytest.mark.parametrize("done", range(4))
async def test_move_that_was_cut_off_anywhere_can_be_made_again(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    aliases, send = Aliases(connection, COMMON), connection.calls
    await aliases.learn_and_resolve([message("a", PHONE)])

    async def send_some(commands: Sequence[Command]) -> list[Any]:
        await send(commands[:done])
        raise RedisUnreachableError("cut")

    monkeypatch.setattr(connection, "calls", send_some)
    with pytest.raises(RedisUnreachableError):
        await aliases.move([Renaming("salon", "KZ.98", BSUID)])
    monkeypatch.undo()
    await aliases.move([Renaming("salon", "KZ.98", BSUID)])
    assert await phones(Aliases(connection, COMMON), message("b", "KZ.98", "KZ.98")) == [PHONE]
