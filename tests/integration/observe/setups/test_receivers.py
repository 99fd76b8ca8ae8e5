"""Sinks whose receivers are away, refuse, or have a bad certificate or clock."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rfctl.observe.facts import ReceiverAddress
from rfctl.observe.facts.receivers import reach
from tests.integration.observe.setups.site import QUICK, Site
from tests.support.receivers import Answer, HttpReceiver
from tests.support.servers import pick_port


def crm(url: str, **more: Any) -> dict[str, Any]:
    return {
        **QUICK, "sinks__crm__type": "http", "sinks__crm__url": url, "sinks__crm__allow_private": True,
        "sinks__crm__retry_delays_ms": "[100, 100, 100, 100, 100, 100, 100, 100, 100, 100]", **more,
    }  # fmt: skip


class Web:
    """A receiver on a port of the test's choice, which a test may start and stop; it speaks TLS with a context."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.port, self._context = port, context

    async def __aenter__(self) -> Web:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response()


async def test_receiver_that_is_away_is_named_before_anything_fails(site: Site) -> None:
    port = pick_port()
    site.shell = site.configure(**crm(f"http://127.0.0.1:{port}/hook"))
    await site.start()
    line = await site.wait_for_first("sink_unreachable", f"127.0.0.1:{port}", "Connection refused")
    assert line.set_by == "variable RFCTL_SINKS__CRM__URL"
    async with Web(port):
        await site.wait_until_clean()


class Moody:
    """Answers deliveries with a status that a test may change; what has no body is answered 200."""

    def __init__(self, status: int) -> None:
        self.status = status

    def __call__(self, request: dict[str, Any]) -> Answer:
        return Answer(self.status if request["raw"] else 200)


async def test_receiver_that_fails_is_named_with_its_answer(site: Site) -> None:
    mood = Moody(503)
    async with HttpReceiver(mood) as receiver:
        site.shell = site.configure(**crm(receiver.url))
        daemon = await site.start()
        assert await site.post(daemon) == 200
        await site.wait_for_first("sink_failing", "sink crm fails", "503")
        mood.status = 200
        await site.wait_until_clean()


async def test_receiver_that_wants_no_more_is_named_as_paused(site: Site) -> None:
    mood = Moody(410)
    async with HttpReceiver(mood) as receiver:
        site.shell = site.configure(**crm(receiver.url))
        daemon = await site.start()
        assert await site.post(daemon) == 200
        await site.wait_for_first("sink_failing", "410")
        [paused] = [line for line in (await site.diagnose()).lines if line.code == "sink_paused"]
        assert paused.fix == "rfctl resume crm"
        assert "ago by its receiver" in paused.fact
        mood.status = 200
        await site.run_rfctl("resume", "crm")
        await site.wait_until_clean()


async def test_paused_sink_is_named(site: Site) -> None:
    async with HttpReceiver() as receiver:
        site.shell = site.configure(**crm(receiver.url))
        await site.start()
        await site.run_rfctl("pause", "crm", "--why", "it moves", **crm(receiver.url))
        line = await site.wait_for_first("sink_paused", "it moves", "rfctl resume crm")
        assert re.search(rf"; \d+(\.\d+)? m?s ago by \S+@{re.escape(socket.gethostname())}$", line.fact)
        await site.run_rfctl("resume", "crm")
        await site.wait_until_clean()


async def test_dead_letters_are_named(site: Site) -> None:
    async with HttpReceiver(Moody(400)) as receiver:
        site.shell = site.configure(**crm(receiver.url, sinks__crm__retry_delays_ms="[0]"))
        assert await site.post(await site.start()) == 200
        await site.wait_for_first("dead_letters", "1 message", "rfctl dead list")
        await site.run_rfctl("dead", "drop", "--all", "--yes")
        await site.wait_until_clean()


def make_certificate(folder: Path, days: int) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate that ends in so many days, and what a server needs to show it."""
    key, request, certificate, names = (folder / name for name in ("k.pem", "r.csr", "c.pem", "names"))
    names.write_text("subjectAltName=IP:127.0.0.1")
    ask = f"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {key} -out {request} -subj /CN=x"
    sign = f"openssl x509 -req -in {request} -signkey {key} -days {days} -extfile {names} -out {certificate}"
    for line in (ask, sign):
        subprocess.run(line.split(), check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate, context


@pytest.mark.parametrize(
    ("days", "code", "words"),
    [
        (-1, "sink_unreachable", "certificate has expired"),
        (5, "certificate_ending", "ends in 4 days"),
        (90, "", ""),
    ],
)
async def test_certificate_that_ends_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, code: str, words: str
) -> None:
    port = pick_port()
    certificate, context = make_certificate(tmp_path, days)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    site.shell = site.configure(**crm(f"https://127.0.0.1:{port}/hook"))
    async with Web(port, context):
        await site.start()
        if code:
            await site.wait_for_first(code, words, "renew")
    _, renewed = make_certificate(tmp_path, 90)
    async with Web(port, renewed):
        await site.wait_until_clean()


async def test_certificate_of_a_stranger_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = pick_port()
    certificate, context = make_certificate(tmp_path, 90)
    site.shell = site.configure(**crm(f"https://127.0.0.1:{port}/hook"))
    async with Web(port, context):
        await site.start()
        await site.wait_for_first("sink_unreachable", "self-signed certificate", "SSL_CERT_FILE")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await site.wait_until_clean()


async def test_clock_of_a_receiver_that_is_off_is_named(site: Site) -> None:
    behind_s = 3600

    def answer(_: Any) -> Answer:
        now = datetime.now(UTC) - timedelta(seconds=behind_s)
        return Answer(200, {"Date": format_datetime(now, usegmt=True)})

    async with HttpReceiver(answer) as receiver:
        site.shell = site.configure(**crm(receiver.url))
        await site.start()
        await site.wait_for_first("sink_clock_differs", "sink crm", "behind this host's")
        behind_s = 0
        await site.wait_until_clean()


async def test_private_receiver_is_not_called_where_the_sink_would_not() -> None:
    receiver = await reach(ReceiverAddress("crm", "127.0.0.1", 1, is_public_only=True))
    assert "blocked unless allow_private = true" in receiver.problem


async def test_doctor_delivers_nothing_and_names_no_hook(site: Site) -> None:
    async with HttpReceiver() as receiver:
        site.shell = site.configure(**crm(receiver.url))
        await site.start()
        await site.wait_until_clean()
        assert receiver.seen, "it asks for the date"
        assert {(request["method"], request["path"]) for request in receiver.seen} == {("HEAD", "/")}


async def test_program_that_is_missing_is_named(site: Site) -> None:
    """Nobody serves its sink, as no daemon starts with these settings: the cause comes before that."""
    program = site.folder / "program"
    site.shell = site.configure(**QUICK, sinks__p__type="command", sinks__p__command=f'["{program}"]')
    line = await site.wait_for_first(
        "settings_unusable", str(program), "rfctl config explain sinks.p.command"
    )
    assert line.subject == "sinks.p.command"
    program.write_text("#!/bin/sh\nexec cat > /dev/null\n")
    program.chmod(0o755)
    await site.start()
    await site.wait_until_clean()
