"""A sink that does not keep up, and a message that it has read and left lying."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.integration.observe.setups.site import QUICK, Site
from tests.support.receivers import HttpReceiver
from tests.support.waiting import until

MESSAGES = 12


async def test_sink_that_falls_behind_is_named(site: Site) -> None:
    """The receiver holds its answers back. The totals are sampled by a daemon that starts when something is left."""
    async with Slow() as receiver:
        site.shell = site.configure(
            **QUICK, sinks__crm__type="http", sinks__crm__url=receiver.url, sinks__crm__allow_private=True,
            sinks__crm__timeout_ms=60_000, sinks__crm__concurrency=1,
        )  # fmt: skip
        first = await site.start()
        assert await site.post(first) == 200
        await until(lambda: receiver.calls)
        await site.stop(first)
        second = await site.start()
        for number in range(MESSAGES):
            assert await site.post(second, phone=f"790012345{number:02}") == 200
        await until(lambda: site.run("XLEN", "rfctl:out") == MESSAGES + 1)
        words = f"sink crm falls behind: 0 delivered and {MESSAGES} handed over"
        await site.wait_for_first("sink_behind", words, "sinks.crm.concurrency")
        receiver.may_answer.set()
        await site.wait_until_clean()


class Slow:
    """A receiver that answers no delivery until it may."""

    def __init__(self) -> None:
        self.may_answer, self.calls, self.url = asyncio.Event(), 0, ""

    async def __aenter__(self) -> Slow:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.may_answer.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.calls += 1
            await self.may_answer.wait()
        return web.Response()


async def test_message_that_a_sink_has_read_and_left_lying_is_named(site: Site) -> None:
    async with HttpReceiver() as receiver:
        site.shell = site.configure(
            **QUICK, sinks__crm__type="http", sinks__crm__url=receiver.url, sinks__crm__allow_private=True
        )
        daemon = await site.start()
        await site.wait_until_clean()
        await site.stop(daemon)
        entry = site.run("XADD", "rfctl:out", "*", "phone", "7", "text", "x", "count", "1")
        site.run("XREADGROUP", "GROUP", "rfctl:crm", "lost", "STREAMS", "rfctl:out", ">")
        site.run("XCLAIM", "rfctl:out", "rfctl:crm", "lost", "0", entry, "IDLE", "900000", "JUSTID")
        daemon = await site.start()
        words = ("sink crm: 1 message read and not tried yet", "by consumer lost", "start the daemon again")
        line = await site.wait_for_first("deliveries_stuck", *words)
        site.follow(line.fix)
        await site.stop(daemon)
        await site.start()
        await site.wait_until_clean()
        await until(lambda: [taken for taken in receiver.taken if taken["method"] == "POST"])
