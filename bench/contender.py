"""What a contender of a duel is."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Callable
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
