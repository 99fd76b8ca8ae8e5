"""The body of a verified request: read by its source, its messages stored, the unparsed rest kept in quarantine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from rfctl.errors import BadRequestError
from rfctl.model.message import Message, Unparsed, with_placeholder
from rfctl.model.stored import Added
from rfctl.sources.contract import NotUnderstoodError, ParseResult, ServedSource
from rfctl.store.quarantine import Quarantine

_log = structlog.get_logger("ingest")
StoreMessages = Callable[[list[Message]], Awaitable[list[Added]]]
"""Stores messages and returns what became of each. Raises RfctlError."""


class Reader:
    """Reads bodies and stores what is in them. `placeholder` stands for a message without words."""

    def __init__(self, add: StoreMessages, quarantine: Quarantine, placeholder: str) -> None:
        self._add = add
        self._quarantine = quarantine
        self.placeholder = placeholder

    def read(self, served: ServedSource, body: bytes) -> ParseResult:
        """Read a body; what its source cannot read, or fails on, is unparsed. Raises BadRequestError."""
        try:
            return served.source.messages(body)
        except NotUnderstoodError as problem:
            return ParseResult(unparsed=[Unparsed(body, problem.fact)])
        except BadRequestError:
            raise
        except Exception as problem:  # a bug of a source must not lose the request
            _log.exception("source_crashed", source=served.name, problem=repr(problem))
            return ParseResult(unparsed=[Unparsed(body, f"a bug in rfctl: {type(problem).__name__}")])

    async def store(self, messages: Sequence[Message]) -> list[Added]:
        """Store messages. Returns what became of each, in their order. Raises RfctlError."""
        if not messages:
            return []
        return await self._add([with_placeholder(message, self.placeholder) for message in messages])

    async def quarantine(self, served: ServedSource, unparsed: Sequence[Unparsed]) -> None:
        """Keep the unparsed parts, without the provider's secrets. Raises RfctlError: then nothing was kept."""
        redacted = [Unparsed(served.source.redact(part.body), part.why) for part in unparsed]
        if redacted:
            await self._quarantine.keep(served.name, served.type, redacted)


def rejection(results: Sequence[Added]) -> str:
    """Return why the first message that could not be stored was rejected; "" when all were stored."""
    return next(
        (f"not every message could be stored: {result.rejected}" for result in results if result.rejected), ""
    )
