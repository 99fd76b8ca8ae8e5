from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rfctl.store.connection import Connection
from tests.support.clock import VirtualClock


@pytest.fixture
async def clock(connection: Connection) -> VirtualClock:
    """A clock that stands still until the test moves it."""
    return await VirtualClock.start(connection)


@pytest.fixture
async def timed(clock: VirtualClock, connection: Connection) -> AsyncIterator[Connection]:
    """A connection that goes by that clock."""
    opened = clock.open(connection.address)
    yield opened
    await opened.close()
