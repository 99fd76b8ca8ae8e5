"""Workers of the library that have gone, and what they have left."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest

from rfctl.assembly.store import open_store
from rfctl.daemon import Daemon
from rfctl.observe.worker_groups import MOST_IN_HAND
from rfctl.store.dead_letters import DeadLetters
from rfctl.worker import AsyncWorker, GiveUpError, MergedMessage
from tests.integration.observe.setups.site import QUICK, Site
from tests.integration.observe.setups.test_daemons_and_work import hand_one_over
from tests.support.least_rights import choose_worker_url
from tests.support.waiting import until
from tests.support.worker_groups import Handler, working


async def test_what_a_killed_worker_had_is_named_with_what_its_library_does(site: Site) -> None:
    await start_with_workers(site)
    await leave_in_hand(site)
    [entry] = list_in_hand(site, "rfctl:out")
    site.run("XCLAIM", "rfctl:out", "bot", "worker-1", "0", entry, "IDLE", "900000", "JUSTID")
    line = await site.wait_for_first("entries_unacknowledged", "15 min", "worker-1")
    assert line.fix.startswith("start its workers, which take over what another has left;")
    for _ in range(4):
        site.run("XCLAIM", "rfctl:out", "bot", "worker-1", "0", entry)
    line = await site.wait_for_first("entries_redelivered", entry)
    assert "redis-cli" not in line.fix
    handler = Handler()
    async with working(site.server.url, handler, group="bot", max_attempts=9):
        await handler.wait_for(1)
        await site.wait_until_clean()


async def test_letter_that_was_sent_again_is_named_until_a_worker_handles_it(site: Site) -> None:
    await start_with_workers(site)
    async with working(site.server.url, Handler(give_up), group="bot"):
        await until(lambda: site.run("XLEN", "rfctl:dead"))
    await send_again(site)
    await site.wait_for_first("group_unread", "group bot", "1 dead letter sent again waits for a worker")
    await leave_in_hand(site)
    again = "rfctl:worker:bot:again"
    [entry] = list_in_hand(site, again)
    site.run("XCLAIM", again, "bot", "worker-1", "0", entry, "IDLE", "900000", "JUSTID")
    line = await site.wait_for_first("entries_unacknowledged", "1 message read", "worker-1")
    assert "take over" in line.fix
    handler = Handler()
    async with working(site.server.url, handler, group="bot"):
        await handler.wait_for(1)
        await site.wait_until_clean()


async def test_group_that_is_given_up_as_the_finding_says_leaves_nothing(site: Site) -> None:
    site.shell = site.configure()
    await site.start()
    site.run("XGROUP", "CREATE", "rfctl:out", "bot", "0", "MKSTREAM")
    site.run("XADD", "rfctl:worker:bot:again", "*", "phone", "7900")
    site.run("ZADD", "rfctl:worker:bot:done", "1", "a")
    line = await site.wait_for_first("group_unread", "1 dead letter sent again")
    site.follow(line.fix.partition(": ")[2])
    await site.wait_until_clean()
    assert site.run("KEYS", "rfctl:worker:*") == []


async def test_group_with_all_in_hand_that_it_may_have_is_named_and_counted(site: Site) -> None:
    """One message takes long, and what its person wrote later waits behind it."""
    may_end = {text: asyncio.Event() for text in ("first", "second")}
    handler = Handler(lambda message: may_end[message.text].wait() if message.text in may_end else None)
    site.shell = site.configure(**QUICK, sinks__workers__type="stream", sinks__workers__group="bot")
    daemon = await site.start()
    with site.client().pipeline(transaction=False) as pipe:
        for text in ("first", "second", *("later" for _ in range(MOST_IN_HAND - 2))):
            pipe.xadd("rfctl:out", {"phone": "7900", "text": text, "messages": "[]"})
        pipe.xadd("rfctl:out", {"phone": "7901", "text": "of another person", "messages": "[]"})
        pipe.execute()
    async with working(site.server.url, handler, group="bot", retry_after_s=900):
        await site.wait_for_first(
            "group_full", f"group bot: its workers have {MOST_IN_HAND:,} messages in hand"
        )
        assert handler.lines == ["7900 first 1"]
        [group] = json.loads(await site.run_rfctl("stats", "--json"))["workers"]
        assert (group["waiting"], group["in_hand"]) == (1, MOST_IN_HAND)
        assert f"{MOST_IN_HAND:,} in hand; full: takes no new one" in await site.run_rfctl("stats")
        async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http:
            metrics = (await http.get("/metrics")).text
        assert f"rfctl_worker_unacknowledged_messages {MOST_IN_HAND}" in metrics
        may_end["first"].set()
        await handler.wait_for(3)
        await site.wait_until_clean()
        assert "7901 of another person 1" in handler.lines
        may_end["second"].set()


@pytest.mark.parametrize("cure", ["it reads that too", "a worker of the library", "they are given up"])
async def test_program_that_never_reads_what_was_sent_again_is_named(site: Site, cure: str) -> None:
    """A program of its own has taken the place of a worker of the library, which had given a message up."""
    daemon = await start_with_workers(site)
    async with working(site.server.url, Handler(give_up), group="bot"):
        await until(lambda: site.run("XLEN", "rfctl:dead"))
    again = "rfctl:worker:bot:again"
    read = partial(site.run, "XREADGROUP", "GROUP", "bot", "node-1", "STREAMS")
    # Before Redis 7.2 nobody sees a program that has not got anything yet.
    assert await site.post(daemon) == 200
    [[_, [[entry, _]]]] = await until(lambda: read("rfctl:out", ">"))
    site.run("XACK", "rfctl:out", "bot", entry)
    await send_again(site)
    line = await site.wait_for_first("again_unread", f"does not read {again}: 1 dead letter sent again waits")
    match cure:
        case "it reads that too":
            [[_, [[entry, _]]]] = read(again, ">")
            site.run("XACK", again, "bot", entry)
            site.run("XDEL", again, entry)
        case "a worker of the library":
            async with working(site.server.url, Handler(), group="bot"):
                await site.wait_until_clean()
        case _:
            site.follow(line.fix)
    await site.wait_until_clean()


async def start_with_workers(site: Site) -> Daemon:
    """Start a daemon whose messages go to group bot, as which alone workers of tests may ask."""
    sink = {"sinks__workers__type": "stream", "sinks__workers__group": "bot"}
    site.shell = site.configure(**QUICK, **sink)
    daemon = await site.start()
    await hand_one_over(site, daemon)
    return daemon


def give_up(message: MergedMessage) -> None:
    raise GiveUpError("no such person")


async def send_again(site: Site) -> None:
    async with opening_letters(site) as letters:
        for letter in await letters.list_newest():
            assert await letters.retry(letter)


@asynccontextmanager
async def opening_letters(site: Site) -> AsyncIterator[DeadLetters]:
    store = open_store(site.shell)
    try:
        yield store.dead_letters
    finally:
        await store.close()


async def leave_in_hand(site: Site) -> None:
    """Let a worker take a message, and end without a word as one that is killed."""
    is_taken = asyncio.Event()
    worker = AsyncWorker(choose_worker_url(site.server.url), group="bot", retry_after_s=900)

    async def hang(message: MergedMessage) -> None:
        is_taken.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(worker.run(hang))
    await until(lambda: is_taken.is_set() or task.done())
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def list_in_hand(site: Site, stream: str) -> list[str]:
    with site.client() as client:
        return [row["message_id"] for row in client.xpending_range(stream, "bot", "-", "+", 9)]
