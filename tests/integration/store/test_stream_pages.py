"""Long streams are read page by page: by bytes, not beyond what is wanted, and in the order of all shards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rfctl.model.message import Unparsed
from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.keys import Keyspace
from rfctl.store.quarantine import Quarantine
from rfctl.store.stream_pages import StreamPages, merge
from tests.support.keys import COMMON, SHARD

LONG = 150_000


async def fill(connection: Connection, entries: int, size: int) -> None:
    await connection.calls(
        [("XADD", "s", f"{place}-0", "n", place, "body", "x" * size) for place in range(1, entries + 1)]
    )


async def calls_of_scripts(connection: Connection) -> int:
    used = (await connection.call("INFO", "commandstats")).decode()
    return int(used.partition("cmdstat_evalsha:calls=")[2].partition(",")[0] or 0)


async def bytes_sent(connection: Connection) -> int:
    stats = (await connection.call("INFO", "stats")).decode()
    return int(stats.partition("total_net_output_bytes:")[2].split()[0])


async def test_every_entry_comes_once_in_both_directions(connection: Connection) -> None:
    await fill(connection, 450, 10)
    pages = StreamPages(connection, "s")
    ids = [entry_id async for entry_id, _ in pages.oldest_first()]
    assert ids == [f"{place}-0" for place in range(1, 451)]
    assert [entry_id async for entry_id, _ in pages.newest_first()] == ids[::-1]
    assert [entry_id async for entry_id, _ in pages.oldest_first("(449-0")] == ["450-0"]


async def test_page_ends_by_bytes(connection: Connection) -> None:
    await fill(connection, 10, LONG)
    before = await calls_of_scripts(connection)
    async for _ in StreamPages(connection, "s").oldest_first():
        pass
    assert await calls_of_scripts(connection) - before >= 5


async def test_reader_that_stops_has_read_no_further_page(connection: Connection) -> None:
    await fill(connection, 100, LONG)
    before = await calls_of_scripts(connection)
    async for _ in StreamPages(connection, "s").newest_first():
        break
    assert await calls_of_scripts(connection) - before == 1


async def test_what_comes_meanwhile_is_left_out(connection: Connection) -> None:
    await fill(connection, 3, 10)
    ids = []
    async for entry_id, _ in StreamPages(connection, "s").of_now():
        ids.append(entry_id)
        await connection.call("XADD", "s", "*", "a", "b")
    assert ids == ["1-0", "2-0", "3-0"]


async def test_field_is_replaced_by_its_length_and_items_are_left_out(connection: Connection) -> None:
    await fill(connection, 2, LONG)
    before = await bytes_sent(connection)
    measured = [flat async for _, flat in StreamPages(connection, "s", measured="body").oldest_first()]
    assert measured == [[b"n", b"1", b"body", b"150000"], [b"n", b"2", b"body", b"150000"]]
    short = [flat async for _, flat in StreamPages(connection, "s", items=2).oldest_first()]
    assert short == [[b"n", b"1"], [b"n", b"2"]]
    assert await bytes_sent(connection) - before < LONG


async def test_lists_do_not_read_what_they_do_not_show(connection: Connection) -> None:
    await Quarantine(connection, COMMON).add("tg", "telegram", [Unparsed(b"x" * LONG, "why")] * 3)
    letter = (
        "sink",
        "crm",
        "id",
        "7-7",
        "tries",
        "[]",
        "phone",
        "p",
        "text",
        "t",
        "messages",
        f'["{"x" * LONG}"]',
    )
    await connection.calls([("XADD", SHARD.dead, "*", *letter)] * 3)
    before = await bytes_sent(connection)
    heads = await Quarantine(connection, COMMON).list_heads(3)
    letters = await DeadLetters(connection, [SHARD]).list_newest()
    assert await bytes_sent(connection) - before < LONG
    assert [head.size for head in heads] == [LONG] * 3
    assert [letter.entry.merged.text for letter in letters] == ["t"] * 3


async def test_several_ids_are_found_among_the_dead_in_a_single_pass(connection: Connection) -> None:
    letter = ("sink", "crm", "id", "7-7", "tries", "[]", "phone", "p", "text", "t")
    ids = await connection.calls([("XADD", SHARD.dead, "*", *letter)] * 500)
    names, room = [entry_id.decode() for entry_id in ids[::50]], DeadLetters(connection, [SHARD])
    await room.find_all(names[:1])  # the first call of a script loads it
    before = await calls_of_scripts(connection)
    await room.find_all(names[:1])
    single = await calls_of_scripts(connection) - before
    matches = await room.find_all(names)
    assert await calls_of_scripts(connection) - before == 2 * single
    assert {name: [letter.entry_id for letter in letters] for name, letters in matches.items()} == {
        name: [name] for name in names
    }


async def test_letter_of_a_list_is_sent_again_with_all_of_its_message(connection: Connection) -> None:
    letter = (
        "sink",
        "crm",
        "id",
        "7-7",
        "tries",
        "[]",
        "phone",
        "p",
        "text",
        "t",
        "messages",
        '[{"message":"t"}]',
    )
    await connection.call("XADD", SHARD.dead, "*", *letter)
    room = DeadLetters(connection, [SHARD])
    [listed] = await room.list_newest()
    assert listed.entry.merged.messages == []
    assert await room.retry(listed)
    body = await connection.call("HGET", SHARD.sink("crm").bodies, "7-7")
    assert b'"t"' in body.replace(b"\\", b"")
    assert b"messages" in body


@pytest.mark.parametrize("descending", [False, True])
async def test_merge_yields_the_order_of_all_and_holds_an_item_of_each(descending: bool) -> None:
    taken = 0

    async def count_up(start: int) -> AsyncIterator[int]:
        nonlocal taken
        for number in range(start, 30, 3):
            taken += 1
            yield -number if descending else number

    merged = []
    async for number in merge(
        [count_up(start) for start in range(3)], lambda item: item, descending=descending
    ):
        merged.append(abs(number))
        assert taken <= len(merged) + 3
    assert merged == list(range(30))


async def test_newest_letters_of_shards_are_merged_without_reading_all(connection: Connection) -> None:
    shards = Keyspace(4).all()
    for place in range(12):
        flat = ("sink", "crm", "id", "7-7", "tries", "[]", "phone", "p", "text", str(place))
        await connection.call("XADD", shards[place % 4].dead, f"{1000 + place}-0", *flat)
    room = DeadLetters(connection, shards)
    assert [letter.entry.merged.text for letter in await room.list_newest(5)] == ["7", "8", "9", "10", "11"]
