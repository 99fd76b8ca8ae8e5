"""An event loop whose time passes only while nothing is ready: bounds are held exactly, however fast the machine is."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_GRACE_S = 0.01
"""How long, in real time, a socket or a thread may take to be ready before time jumps."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for no timer: where nothing is ready, it lets the time of the loop jump to the next one."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; the time has jumped by `timeout` if nothing is."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if ready := super().select(_GRACE_S):
            return ready
        self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; it begins at 0 s."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time, s."""
        return self._jumping.now_s


def run_in_virtual_time(work: Coroutine[Any, Any, _T]) -> tuple[_T, float]:
    """Run something to its end, and return its result and how long it took, in virtual seconds."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(work)
        return result, runner.get_loop().time()
