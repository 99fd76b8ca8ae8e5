"""Reads a quarantined request again, with the sources of today's settings.

What is understood is stored before the entry goes; what still is not stays, with today's reason. A crash in
between leaves the entry where it was, and reading it again adds nothing twice: messages are known by their ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rfctl.assembly.sources import build_sources
from rfctl.config.settings import Settings
from rfctl.errors import BadRequestError
from rfctl.model.message import Unparsed, with_placeholder
from rfctl.sources.contract import NotUnderstoodError, ParseResult, ServedSource
from rfctl.store.batches import Batches
from rfctl.store.counters import Counters
from rfctl.store.quarantine import Quarantine, QuarantinedRequest


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What became of one entry. `stored` counts messages, also those that were known already, `skipped` what is none, by kind.

    `problem` is why the entry, or the rest of it, is still in quarantine; "" when nothing is.
    """

    kept: QuarantinedRequest
    stored: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


class QuarantineRetry:
    """Reads entries again and stores what is in them."""

    def __init__(self, settings: Settings, batches: Batches, quarantine: Quarantine) -> None:
        """Set the sources up. Raises SettingsError."""
        self._entrances = build_sources(settings)
        self._placeholder = settings.batching.placeholder
        self._batches = batches
        self._quarantine = quarantine

    async def retry(self, kept: QuarantinedRequest) -> RetryResult:
        """Read one entry again. Raises RfctlError when Redis fails; then the entry is still there."""
        entrance = self._entrances.get(kept.source)
        if entrance is None:
            return RetryResult(kept, problem=self._no_source(kept.source))
        reading = _read(entrance, kept.body)
        problem = "; ".join(dict.fromkeys(one.why for one in reading.unparsed))
        if not reading.messages and not reading.skipped:
            return RetryResult(kept, problem=problem or "nothing is in it")
        if refused := await self._store(reading):
            return RetryResult(kept, problem=refused)
        await self._keep_rest(entrance, reading.unparsed)
        if await self._quarantine.drop(kept.id):
            await self._count(reading.skipped)
        return RetryResult(kept, len(reading.messages), reading.skipped, problem)

    def _no_source(self, name: str) -> str:
        there = ", ".join(sorted(self._entrances))
        return f"there is no source {name} in the settings any more (there is {there})"

    async def _store(self, reading: ParseResult) -> str:
        """Store the messages. Returns why some could not be, or ""."""
        if not reading.messages:
            return ""
        results = await self._batches.add(
            [with_placeholder(one, self._placeholder) for one in reading.messages]
        )
        return next(
            (f"not every message could be stored: {one.refused}" for one in results if one.refused), ""
        )

    async def _keep_rest(self, entrance: ServedSource, unparsed: list[Unparsed]) -> None:
        redacted = [Unparsed(entrance.source.redact(one.body), one.why) for one in unparsed]
        if redacted:
            await self._quarantine.keep(entrance.name, entrance.type, redacted)

    async def _count(self, skipped: Mapping[str, int]) -> None:
        tally = Counters()
        tally.add({f"skipped:{kind}": count for kind, count in skipped.items()})
        await tally.write(self._batches.connection, self._batches.shards[0].totals)


def _read(entrance: ServedSource, body: bytes) -> ParseResult:
    try:
        return entrance.source.messages(body)
    except (NotUnderstoodError, BadRequestError) as problem:
        return ParseResult(unparsed=[Unparsed(body, problem.fact)])
    except Exception as problem:  # what a bug of a source cannot read stays, and those behind it are read
        return ParseResult(unparsed=[Unparsed(body, f"a bug in rfctl: {type(problem).__name__}: {problem}")])
