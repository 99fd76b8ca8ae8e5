"""The embedded server: where it is found, and how its end is noticed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rfctl.errors import EmbeddedServerError
from rfctl.store.embedded import EmbeddedServer, find_embedded
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path)
    yield server
    server.stop()


async def test_end_of_the_server_is_noticed_at_once(embedded: EmbeddedServer) -> None:
    address = embedded.start()
    waiting = asyncio.create_task(embedded.wait_until_ended())
    await asyncio.sleep(0)
    assert not waiting.done(), "it runs"
    os.kill(address.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        await waiting


async def test_waiting_for_the_end_can_be_given_up(embedded: EmbeddedServer) -> None:
    embedded.start()
    for _ in range(2):
        waiting = asyncio.create_task(embedded.wait_until_ended())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_server_that_is_not_started_has_ended(embedded: EmbeddedServer) -> None:
    await embedded.wait_until_ended()


def test_running_server_is_located_and_a_stopped_one_is_not(embedded: EmbeddedServer, tmp_path: Path) -> None:
    address = embedded.start()
    assert find_embedded(tmp_path) == address
    embedded.stop()
    with pytest.raises(EmbeddedServerError):
        find_embedded(tmp_path)
