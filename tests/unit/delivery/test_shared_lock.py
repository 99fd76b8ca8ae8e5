"""Many hold the lock together, or a single holder alone."""

from __future__ import annotations

import asyncio

from rfctl.delivery.shared_lock import SharedLock


class Holders:
    """Who holds the lock now, and who has held it, in turn."""

    def __init__(self) -> None:
        self.lock, self.inside, self.order = SharedLock(), set[str](), list[str]()
        self.may_leave: dict[str, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def enter(self, name: str, *, alone: bool = False) -> None:
        """Let somebody ask for the lock."""
        self.may_leave[name] = asyncio.Event()
        self.tasks.append(asyncio.create_task(self._hold(name, alone=alone)))
        await self._let_others_run()

    async def _hold(self, name: str, *, alone: bool) -> None:
        async with self.lock.alone() if alone else self.lock.together():
            self.inside.add(name)
            self.order.append(name)
            try:
                await self.may_leave[name].wait()
            finally:
                self.inside.remove(name)

    async def leave(self, name: str) -> None:
        """Let somebody give it back."""
        self.may_leave[name].set()
        await self._let_others_run()

    async def _let_others_run(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


async def test_lock_is_held_together_or_alone_in_the_order_of_asking() -> None:
    holders = Holders()
    await holders.enter("a")
    await holders.enter("b")
    assert holders.inside == {"a", "b"}
    await holders.enter("writer", alone=True)
    await holders.enter("c")
    await holders.leave("a")
    assert holders.inside == {"b"}, "c came behind the writer"
    await holders.leave("b")
    assert holders.inside == {"writer"}
    await holders.leave("writer")
    assert holders.inside == {"c"}
    await holders.leave("c")
    assert holders.order == ["a", "b", "writer", "c"]


async def test_holder_that_is_cancelled_gives_it_back() -> None:
    holders = Holders()
    await holders.enter("a")
    await holders.enter("writer", alone=True)
    holders.tasks[0].cancel()
    await asyncio.wait([holders.tasks[0]])
    await holders.enter("b")
    assert holders.inside == {"writer"}
    await holders.leave("writer")
    await holders.leave("b")
    assert holders.order == ["a", "writer", "b"]
