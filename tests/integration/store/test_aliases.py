"""One person, two ids: under which phone the messages of a sender come who is also named by another id alone."""

from __future__ import annotations

import pytest

from rfctl.model.message import Message
from rfctl.store.aliases import Aliases
from rfctl.store.connection import Connection
from rfctl.store.keys import alias_key
from tests.support.batching import make_rig

BSUID = "US.13491208655302741918"
PHONE = "79001234567"


def said(text: str, phone: str, alias: str = BSUID, channel: str = "salon") -> Message:
    return Message(phone=phone, text=text, id=text, channel=channel, alias=alias)


async def phones(aliases: Aliases, *messages: Message) -> list[str]:
    return [one.phone for one in await aliases.learn_and_resolve(messages)]


@pytest.mark.parametrize("shards", [0, 4])
async def test_who_was_named_by_phone_and_id_stays_one_batch_when_only_the_id_comes(
    connection: Connection, shards: int
):
    batches = make_rig(connection, shards)
    await batches.add([said("a", PHONE)])
    await batches.add([said("b", BSUID)])
    await batches.drain("flush")
    [merged] = await batches.collect()
    assert (merged.phone, merged.text) == (PHONE, "a b")


async def test_in_one_call_what_names_both_counts_for_all_of_it(connection: Connection):
    assert await phones(Aliases(connection), said("a", BSUID), said("b", PHONE)) == [PHONE, PHONE]


async def test_who_was_never_named_by_phone_goes_by_the_id(connection: Connection):
    assert await phones(Aliases(connection), said("a", BSUID), said("b", "7", alias="")) == [BSUID, "7"]
    assert await connection.call("DBSIZE") == 0


async def test_another_daemon_knows_it_too_and_another_source_does_not(connection: Connection):
    await Aliases(connection).learn_and_resolve([said("a", PHONE)])
    other = Aliases(connection)
    assert await phones(other, said("b", BSUID), said("c", BSUID, channel="barber")) == [PHONE, BSUID]


async def test_it_is_told_to_redis_once_an_hour_and_a_new_phone_at_once(connection: Connection):
    now = [0.0]
    aliases, key = Aliases(connection, lambda: now[0]), alias_key("salon", BSUID)
    await aliases.learn_and_resolve([said("a", PHONE)])
    await connection.call("DEL", key)
    await aliases.learn_and_resolve([said("b", PHONE)])
    assert await connection.call("GET", key) is None
    now[0] = 3600.0
    await aliases.learn_and_resolve([said("c", PHONE)])
    assert await connection.call("GET", key) == PHONE.encode()
    await aliases.learn_and_resolve([said("d", "49151")])
    assert await connection.call("GET", key) == b"49151"


async def test_what_was_learnt_expires_a_month_after_it_was_last_of_use(connection: Connection):
    await Aliases(connection).learn_and_resolve([said("a", PHONE)])
    key = alias_key("salon", BSUID)
    assert 29 * 86_400 < await connection.call("TTL", key) <= 30 * 86_400
    await connection.call("EXPIRE", key, 60)
    await Aliases(connection).learn_and_resolve([said("b", BSUID)])
    assert await connection.call("TTL", key) > 29 * 86_400


async def test_it_remembers_no_more_than_its_memory_may_hold(connection: Connection, monkeypatch):
    monkeypatch.setattr("rfctl.store.aliases._MOST_FRESH", 2)
    aliases = Aliases(connection)
    await aliases.learn_and_resolve([said(f"{n}", f"7{n}", alias=f"id{n}") for n in range(3)])
    await connection.call("FLUSHDB")
    await aliases.learn_and_resolve([said(f"{n}", f"7{n}", alias=f"id{n}") for n in range(3)])
    assert await connection.call("EXISTS", alias_key("salon", "id0")) == 1, "the oldest was forgotten"
    assert await connection.call("EXISTS", alias_key("salon", "id2")) == 0
