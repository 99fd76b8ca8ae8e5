"""Parses a quarantined request again, with the sources of today's settings.

Its messages are stored before the entry is deleted. A part that is still unparsed stays, with today's reason. After a
crash in between the entry is still there. To retry it again adds nothing twice: a message id is stored once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rfctl.batching import Batcher
from rfctl.errors import BadRequestError
from rfctl.ingest.reader import Reader, find_rejection
from rfctl.model.message import Unparsed
from rfctl.sources.contract import ParseResult, ServedSource
from rfctl.store import QuarantinedRequest, Store


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What became of one entry. `stored` counts messages, also repeats; `skipped` counts the rest of it by kind.

    `problem` is why the entry, or a part of it, is still in quarantine; "" when it is not.
    """

    request: QuarantinedRequest
    stored: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


class QuarantineRetry:
    """Parses quarantined requests of one store again, by these sources, and stores their messages."""

    def __init__(
        self, store: Store, batcher: Batcher, sources: Mapping[str, ServedSource], placeholder: str
    ) -> None:
        self._sources = sources
        self._quarantine = store.quarantine
        self._counters = store.counters
        self._reader = Reader(batcher.add, store.quarantine, store.counters, placeholder)

    async def retry(self, request: QuarantinedRequest) -> RetryResult:
        """Parse one entry again and store its messages. Raises RfctlError: then the entry is still there."""
        served = self._sources.get(request.source)
        if served is None:
            return RetryResult(request, problem=self._explain_missing_source(request.source))
        parsed = self._parse(served, request.body)
        problem = "; ".join(dict.fromkeys(part.why for part in parsed.unparsed))
        if not parsed.messages and not parsed.skipped:
            return RetryResult(request, problem=problem or "nothing is in it")
        if rejection := find_rejection(await self._reader.store(parsed.messages)):
            return RetryResult(request, problem=rejection)
        await self._reader.quarantine(served, parsed.unparsed)
        if await self._quarantine.drop(request.id):
            await self._count(parsed.skipped)
        return RetryResult(request, len(parsed.messages), parsed.skipped, problem)

    def _parse(self, served: ServedSource, body: bytes) -> ParseResult:
        try:
            return self._reader.parse(served, body)
        except BadRequestError as problem:
            return ParseResult(unparsed=[Unparsed(body, problem.fact)])

    def _explain_missing_source(self, name: str) -> str:
        names = ", ".join(sorted(self._sources))
        return f"there is no source {name} in the settings any more (there is {names})"

    async def _count(self, skipped: Mapping[str, int]) -> None:
        self._counters.add({f"skipped:{kind}": count for kind, count in skipped.items()})
        await self._counters.write()
