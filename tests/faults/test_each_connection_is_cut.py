"""A whole daemon behind a relay: its connection is cut at each kind of request, before Redis gets it or after it did it.

Usually the two take turns from one kind of request to the next; with TEST_FAULTS=all it is both at each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import httpx
import pytest

from tests.conftest import configure, running
from tests.faults.extent import group_modes
from tests.support.cutting_relay import Cut, CutMode, CuttingRelay, find_end, name_request
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import PATIENCE_S, until

POST = "/webhook/whatsapp/batched"
DATABASES = 8
MODES: tuple[CutMode, ...] = ("before", "after")
PATIENCE_MS = int(PATIENCE_S * 1000)
"""On a busy machine no call fails besides the one that is cut."""


class Run:
    """One life of a daemon in an empty database: it starts, takes messages in, and delivers to a list and a receiver."""

    def __init__(self, server: RedisServer, folder: Path, database: int, cut: Cut) -> None:
        self._server, self._folder, self._database, self._cut = server, folder, database, cut
        self._sent: list[str] = []

    async def live(self) -> None:
        """Raise AssertionError when anything is lost, doubled or stands still."""
        with self._server.client() as client:
            client.execute_command("SELECT", self._database)
            client.execute_command("FLUSHDB")
        async with (
            HttpReceiver() as receiver,
            CuttingRelay(self._server.port, self._cut, self._database) as relay,
            running(configure(relay.url, self._folder, **self._settings(receiver))) as service,
            httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=PATIENCE_S) as http,
        ):
            for text in ("a1", "a2"):
                await self._send(http, text)
                await self._wait_until_come(receiver)
            self._cut.armed = False
            await self._send(http, "later")
            await self._wait_until_come(receiver)
            assert self._read_list() == self._sent, "the list"
            assert self._read_receiver(receiver) == self._sent, "the receiver"

    @staticmethod
    def _settings(receiver: HttpReceiver) -> dict[str, object]:
        return {
            "redis__timeout_ms": PATIENCE_MS, "redis__connect_timeout_ms": PATIENCE_MS,
            "batching__quiet_ms": 30, "sinks__own__type": "list", "sinks__own__key": "inbox",
            "sinks__crm__type": "http", "sinks__crm__url": receiver.url, "sinks__crm__allow_private": True,
            "sinks__crm__timeout_ms": PATIENCE_MS, "sinks__crm__connect_timeout_ms": PATIENCE_MS,
        }  # fmt: skip

    async def _send(self, http: httpx.AsyncClient, text: str) -> None:
        body = {"from": "79000000001", "message": text, "messageId": text}
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.post(POST, json=body)).is_success:
                    self._sent.append(text)
                    return
            await asyncio.sleep(0.02)

    def _read_list(self) -> list[str]:
        with self._server.client() as client:
            client.execute_command("SELECT", self._database)
            payloads = client.execute_command("LRANGE", "inbox", 0, -1)
        return [text for payload in payloads for text in json.loads(payload)["message"].split()]

    @staticmethod
    def _read_receiver(receiver: HttpReceiver) -> list[str]:
        first: dict[str, str] = {}
        for got in receiver.taken:
            first.setdefault(got["headers"]["webhook-id"], got["body"]["message"])
        return [text for texts in first.values() for text in texts.split()]

    async def _wait_until_come(self, receiver: HttpReceiver) -> None:
        try:
            await until(lambda: self._have_come(receiver))
        except AssertionError:
            came = f"list {self._read_list()}, receiver {self._read_receiver(receiver)}"
            raise AssertionError(f"a standstill: sent {self._sent}, {came}; {self._describe()}") from None

    def _describe(self) -> str:
        """Return what Redis has about the way of a message, for a verdict that fails."""
        looks = [("XINFO", "GROUPS", "rfctl:out"), ("ZRANGE", "rfctl:due", 0, -1, "WITHSCORES"), ("TIME",)]
        for sink in ("own", "crm"):
            keys = f"rfctl:sink:{sink}"
            looks += [("GET", f"{keys}:lease"), ("ZRANGE", f"{keys}:retry", 0, -1, "WITHSCORES")]
            looks += [("HGETALL", f"{keys}:{name}") for name in ("tries", "progress")]
        with self._server.client() as client:
            client.execute_command("SELECT", self._database)
            return "; ".join(f"{' '.join(map(str, look))}: {client.execute_command(*look)}" for look in looks)

    def _have_come(self, receiver: HttpReceiver) -> bool:
        wanted = set(self._sent)
        return wanted <= set(self._read_list()) and wanted <= set(self._read_receiver(receiver))


@pytest.mark.parametrize("modes", group_modes(MODES), ids="-".join)
@pytest.mark.timeout(500)
async def test_cut_at_any_kind_of_request_loses_doubles_and_stops_nothing(
    server: RedisServer, tmp_path: Path, modes: tuple[CutMode, ...]
) -> None:
    clean = Cut()
    await Run(server, tmp_path, 0, clean).live()
    cuts = [
        Cut(request, modes[place % len(modes)]) for place, request in enumerate(dict.fromkeys(clean.requests))
    ]
    assert len(cuts) > 10, "a daemon sends more kinds of requests than that"
    databases: asyncio.Queue[int] = asyncio.Queue()
    for database in range(DATABASES):
        databases.put_nowait(database)

    async def judge(cut: Cut) -> str:
        database = await databases.get()
        try:
            await Run(server, tmp_path, database, cut).live()
        except AssertionError as problem:
            return f"{cut.request}: {problem}"
        finally:
            databases.put_nowait(database)
        return ""

    problems = await asyncio.gather(*map(judge, cuts))
    assert not any(problems), "\n".join(filter(None, problems))
    assert sum(cut.has_cut for cut in cuts) * 2 >= len(cuts), "most requests never came"


@pytest.mark.parametrize(
    "whole", [b"+OK\r\n", b"-ERR no\r\n", b":1\r\n", b"$-1\r\n", b"$5\r\na\r\nbc\r\n", b"*-1\r\n", b"*0\r\n",
              b"*2\r\n$1\r\na\r\n*1\r\n:5\r\n"],
)  # fmt: skip
def test_value_ends_where_it_is_complete(whole: bytes) -> None:
    assert find_end(whole + b"+more\r\n") == len(whole)
    assert [find_end(whole[:size]) for size in range(len(whole))] == [None] * len(whole)


def test_request_is_named_by_its_command_and_script() -> None:
    assert name_request(b"*2\r\n$3\r\nget\r\n$1\r\na\r\n") == "GET"
    assert (
        name_request(b"*3\r\n$7\r\nEVALSHA\r\n$40\r\n" + b"0123456789" * 4 + b"\r\n$1\r\n0\r\n")
        == "EVALSHA 01234567"
    )
