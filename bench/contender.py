"""What a contender of a duel is."""

from __future__ import annotations

import contextlib
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.errors import BenchError
from tests.support.servers import RedisServer


class MissingContenderError(BenchError):
    """A contender cannot run here; the text says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that serves: where, in which processes, and which line its requests need in their header.

    `count_stored` says how many messages it has stored; None for one that stores nothing.
    """

    url: str
    pids: list[int]
    count_stored: Callable[[], int] | None = None
    header: str = ""

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to each of its processes."""
        for pid in self.pids:
            os.kill(pid, number)

    def stopped(self) -> contextlib.AbstractContextManager[None]:
        """Keep it stopped: a contender that polls would take the time of the one whose turn it is."""
        return self._between(signal.SIGSTOP, signal.SIGCONT)

    def awake(self) -> contextlib.AbstractContextManager[None]:
        """Let it run for one turn; it is stopped behind it."""
        return self._between(signal.SIGCONT, signal.SIGSTOP)

    @contextlib.contextmanager
    def _between(self, first: signal.Signals, last: signal.Signals) -> Iterator[None]:
        self.send_signal(first)
        try:
            yield
        finally:
            self.send_signal(last)


Start = Callable[[Path, RedisServer], contextlib.AbstractContextManager[Running]]
Count = Callable[[redis.Redis], int]


@dataclass(frozen=True, slots=True)
class Contender:
    """One contender. One that `refuses` under load by its nature is no wrong answer."""

    name: str
    start: Start
    refuses: bool = False


def answers(url: str, body: bytes | None = None) -> bool:
    """Say whether a URL answers with 2xx, past any proxy: a POST with a body, else a GET."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, body, timeout=5):
            return True
    except OSError:
        return False
