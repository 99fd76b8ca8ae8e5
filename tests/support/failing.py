"""A connection to Redis whose n-th call fails, as a cut socket makes it fail; and the plan that says which."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

from rfctl.errors import RedisCannotNowError, RedisUnreachableError, RfctlError
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Arguments, Command, Connection, Keys
from rfctl.store.keys import ShardKeys

Mode = Literal["before", "after", "refused", "late"]
"""The call fails before Redis got it; or Redis did it, and its answer is lost; or Redis refuses it; or the answer comes
late, when every lease has run out."""
MODES: tuple[Mode, ...] = ("before", "after", "refused", "late")
LATE_S = 0.6
T = TypeVar("T")


class FaultPlan:
    """Counts the calls of the armed parts, and lets the call at `position` (from 1) fail; 0 lets none fail."""

    def __init__(self, position: int = 0, mode: Mode = "before") -> None:
        self.position, self.mode = position, mode
        self.armed: frozenset[str] = frozenset()
        self.calls: list[str] = []
        """What the armed parts called so far, as `part: command or script`."""

    @property
    def failed_call(self) -> str:
        """Return the call that failed; "" as long as none did."""
        return self.calls[self.position - 1] if 0 < self.position <= len(self.calls) else ""

    def arm(self, *parts: str) -> None:
        """Count the calls of these parts from now on, and of no others."""
        self.armed = frozenset(parts)

    async def call(self, part: str, name: str, send: Callable[[], Awaitable[T]]) -> T:
        """Make a call, or fail in its place. Raises RfctlError."""
        if part not in self.armed:
            return await send()
        self.calls.append(f"{part}: {name}")
        if len(self.calls) != self.position:
            return await send()
        if self.mode in ("after", "late"):
            answer = await send()
            if self.mode == "late":
                await asyncio.sleep(LATE_S)
                return answer
        raise self._build_error()

    def _build_error(self) -> RfctlError:
        if self.mode == "refused":
            return RedisCannotNowError("the test's Redis refuses this call")
        return RedisUnreachableError("the test has cut this call's connection")


class FailingConnection(Connection):
    """A connection of one part of a daemon. Its calls go by the plan."""

    part: str
    plan: FaultPlan

    @classmethod
    def open_part(cls, address: RedisAddress, part: str, plan: FaultPlan) -> FailingConnection:
        """Return a connection; nothing is sent before the first call."""
        connection = cls.open(address, max_connections=8)
        assert isinstance(connection, FailingConnection)
        connection.part, connection.plan = part, plan
        return connection

    async def call(self, *command: bytes | str | float, is_optional: bool = False) -> Any:
        """Send one command."""
        send = super().call
        return await self.plan.call(
            self.part, _name(command), lambda: send(*command, is_optional=is_optional)
        )

    async def calls(
        self, commands: Sequence[Command], *, short: bool = False, is_optional: bool = False
    ) -> list[Any]:
        """Send commands in one write: they fail together."""
        send = super().calls
        names = "+".join(map(_name, commands))
        return await self.plan.call(
            self.part, names, lambda: send(commands, short=short, is_optional=is_optional)
        )

    async def run(self, verb: str, shard: ShardKeys, keys: Keys, args: Arguments) -> Any:
        """Run a script."""
        send = super().run
        return await self.plan.call(self.part, verb, lambda: send(verb, shard, keys, args))

    async def ask_script(self, verb: str, args: Sequence[bytes | str | int]) -> Any:
        """Run a script that has no key."""
        send = super().ask_script
        return await self.plan.call(self.part, verb, lambda: send(verb, args))

    async def load_scripts(self) -> None:
        """Load every script: they fail together."""
        await self.plan.call(self.part, "SCRIPT LOAD", super().load_scripts)


def _name(command: Command) -> str:
    return str(command[0])
