"""What only `doctor` and `check` find out, as it takes time or the network: each fact is read beside the others.

A reading that fails or takes too long is a finding of its own, and leaves its fact out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rfctl.errors import RfctlError
from rfctl.observe.facts import (
    Disk,
    HostFacts,
    ListenerAnswer,
    Neighbour,
    OpenSource,
    ProbeAnswer,
    Receiver,
    Shell,
    UnsetCompany,
)
from rfctl.observe.ranks import Topic
from rfctl.store import ServerFacts, WorkerEntry
from rfctl.store.stray_keys import StrayKeys
from rfctl.store.taken_keys import TakenKey
from rfctl.text import duration

LIMIT_S = 3.0
"""How long one reading may take."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A reading that came to no end: of which topic, what was to be read, and why not."""

    topic: Topic
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Examination:
    """The facts; None, or nothing, where they were not read.

    `problem` is why the Redis of the settings cannot be used. `neighbours` are daemons that were found otherwise than by
    their records here, `elsewhere` those in other databases of the same server. `settings_problems` are what keeps a
    source or a sink from being set up, `open_sources` those that anybody may use, `unset_companies` those without a company
    where one is needed. `disk` is that of Redis, where it is on this host. `probe` has what the daemons said that were
    asked to send a message of our own.
    """

    problem: RfctlError | None = None
    shell: Shell | None = None
    neighbours: tuple[Neighbour, ...] = ()
    listener: ListenerAnswer | None = None
    elsewhere: tuple[Neighbour, ...] = ()
    settings_problems: tuple[str, ...] = ()
    open_sources: tuple[OpenSource, ...] = ()
    unset_companies: tuple[UnsetCompany, ...] = ()
    worker_entries: Sequence[WorkerEntry] = ()
    untried_entries: Sequence[WorkerEntry] = ()
    server: ServerFacts | None = None
    receivers: tuple[Receiver, ...] | None = None
    host: HostFacts | None = None
    disk: Disk | None = None
    stray: StrayKeys | None = None
    taken_keys: tuple[TakenKey, ...] = ()
    probe: tuple[ProbeAnswer, ...] | None = None
    unfinished: tuple[Unfinished, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing to be read: `field` of the examination gets what `read` returns. `what` says it for a person."""

    field: str
    topic: Topic
    what: str
    read: Callable[[], Awaitable[Any]]


async def examine(
    examination: Examination, readings: Sequence[Reading], limit_s: float = LIMIT_S
) -> Examination:
    """Read all of it side by side, and return the examination with these facts. It takes `limit_s` at most."""
    results = await asyncio.gather(*(_read(reading, limit_s) for reading in readings))
    unfinished = tuple(result for result in results if isinstance(result, Unfinished))
    facts = {
        reading.field: result
        for reading, result in zip(readings, results, strict=True)
        if not isinstance(result, Unfinished)
    }
    return replace(examination, **facts, unfinished=examination.unfinished + unfinished)


async def _read(reading: Reading, limit_s: float) -> Any:
    try:
        async with asyncio.timeout(limit_s):
            return await reading.read()
    except TimeoutError:
        return Unfinished(reading.topic, reading.what, f"no answer within {duration(limit_s * 1000)}")
    except RfctlError as problem:
        return Unfinished(reading.topic, reading.what, problem.fact)
    except OSError as problem:
        return Unfinished(reading.topic, reading.what, problem.strerror or str(problem))
