"""Reads a quarantined request again, with the sources of today's settings.

Its messages are stored before the entry goes; a part that is still unparsed stays, with today's reason. A crash in
between leaves the entry where it was, and reading it again adds nothing twice: messages are known by their ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rfctl.batching import Batcher
from rfctl.errors import BadRequestError
from rfctl.ingest.reader import Reader, rejection
from rfctl.model.message import Unparsed
from rfctl.sources.contract import ParseResult, ServedSource
from rfctl.store import QuarantinedRequest, Store


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What became of one entry. `stored` counts messages, also repeats; `skipped` counts, by kind, what is no message.

    `problem` is why the entry, or the rest of it, is still in quarantine; "" when nothing is.
    """

    request: QuarantinedRequest
    stored: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


class QuarantineRetry:
    """Reads entries of one store again, by these sources, and stores what is in them."""

    def __init__(
        self, store: Store, batcher: Batcher, sources: Mapping[str, ServedSource], placeholder: str
    ) -> None:
        self._sources = sources
        self._quarantine = store.quarantine
        self._counters = store.counters
        self._reader = Reader(batcher.add, store.quarantine, placeholder)

    async def retry(self, request: QuarantinedRequest) -> RetryResult:
        """Read one entry again and store what is in it. Raises RfctlError: then the entry is still there."""
        served = self._sources.get(request.source)
        if served is None:
            return RetryResult(request, problem=self._no_source(request.source))
        parsed = self._read(served, request.body)
        problem = "; ".join(dict.fromkeys(part.why for part in parsed.unparsed))
        if not parsed.messages and not parsed.skipped:
            return RetryResult(request, problem=problem or "nothing is in it")
        if rejected := rejection(await self._reader.store(parsed.messages)):
            return RetryResult(request, problem=rejected)
        await self._reader.quarantine(served, parsed.unparsed)
        if await self._quarantine.drop(request.id):
            await self._count(parsed.skipped)
        return RetryResult(request, len(parsed.messages), parsed.skipped, problem)

    def _read(self, served: ServedSource, body: bytes) -> ParseResult:
        try:
            return self._reader.read(served, body)
        except BadRequestError as problem:
            return ParseResult(unparsed=[Unparsed(body, problem.fact)])

    def _no_source(self, name: str) -> str:
        there = ", ".join(sorted(self._sources))
        return f"there is no source {name} in the settings any more (there is {there})"

    async def _count(self, skipped: Mapping[str, int]) -> None:
        self._counters.add({f"skipped:{kind}": count for kind, count in skipped.items()})
        await self._counters.write()
