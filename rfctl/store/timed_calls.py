"""Short reads together with the time at which they were made: one way to Redis for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection


async def call_at_now(
    connection: Connection, shard: ShardKeys, commands: Sequence[Command]
) -> tuple[int, list[Any]]:
    """Read the clock of a shard, and make these calls right behind it; their answers must be short.

    Returns the steady time, Unix ms, and the answers in their order. Raises RfctlError.
    """
    answers: list[Any] = []

    async def read_both(clock_commands: Sequence[Sequence[Any]]) -> list[Any]:
        both = await connection.calls([*clock_commands, *commands], short=True)
        answers[:] = both[len(clock_commands) :]
        return both[: len(clock_commands)]

    return await connection.clock.now_ms(read_both, shard.clock), answers
