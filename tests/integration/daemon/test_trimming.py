"""Nothing is trimmed that a configured sink has not seen, in whatever roles and with whatever settings daemons run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rfctl.store.connection import Connection
from rfctl.store.output_stream import OutputStream
from tests.conftest import configure, running
from tests.support.forwarding import hand_over
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

TEXTS = ["a", "b", "c", "d", "e"]


@pytest.fixture
async def trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets a number at each trim: how many entries it removed. The daemon trims all the time, and its canary too."""
    removed: list[int] = []
    trim = OutputStream.trim

    async def noticing(stream: OutputStream, **limits: Any) -> int:
        count = await trim(stream, **limits)
        if "groups" in limits:  # the canary trims its own stream without
            removed.append(count)
        return count

    monkeypatch.setattr(OutputStream, "trim", noticing)
    monkeypatch.setattr("rfctl.daemon.components._TRIM_EVERY_S", 0.02)
    return removed


async def read_by_others(connection: Connection) -> None:
    """Put messages into the output stream, which a group of somebody else has finished."""
    ids = await hand_over(connection, *((f"{n}", text) for n, text in enumerate(TEXTS)))
    await connection.call("XGROUP", "CREATE", "rfctl:out", "other", "0")
    await connection.call("XREADGROUP", "GROUP", "other", "w", "STREAMS", "rfctl:out", ">")
    await connection.call("XACK", "rfctl:out", "other", *ids)


async def test_sink_whose_forwarder_is_not_up_yet_misses_nothing(
    server: RedisServer, connection: Connection, tmp_path: Path, trims: list[int]
) -> None:
    await read_by_others(connection)
    async with HttpReceiver() as receiver:
        sink = {
            "sinks__crm__type": "http",
            "sinks__crm__url": receiver.url,
            "sinks__crm__allow_private": True,
        }
        processor = configure(server.url, tmp_path, daemon__role="processor", output__retention_s=0, **sink)
        forwarder = configure(server.url, tmp_path, daemon__role="forwarder", output__retention_s=0, **sink)
        async with running(processor):
            await until(lambda: len(trims) >= 3)
            assert sum(trims) == 0
            async with running(forwarder):
                await until(lambda: len(receiver.taken) == len(TEXTS))
                await until(lambda: sum(trims) == len(TEXTS))
    assert {request["body"]["message"] for request in receiver.taken} == set(TEXTS)


@pytest.mark.parametrize("role", ["webhook", "forwarder"])
async def test_new_sink_is_known_to_a_processor_with_older_settings(
    server: RedisServer, connection: Connection, tmp_path: Path, trims: list[int], role: str
) -> None:
    older = configure(server.url, tmp_path, daemon__role="processor", output__retention_s=0)
    sink = {"sinks__late__type": "stream", "sinks__late__group": "workers"}
    newer = configure(server.url, tmp_path, daemon__role=role, output__retention_s=0, **sink)
    async with running(newer):
        await until(lambda: connection.call("EXISTS", "rfctl:out"))
        await read_by_others(connection)
        async with running(older):
            await until(lambda: len(trims) >= 3)
    assert sum(trims) == 0
    answer = await connection.call("XREADGROUP", "GROUP", "workers", "w", "STREAMS", "rfctl:out", ">")
    assert len(answer[0][1]) == len(TEXTS)
