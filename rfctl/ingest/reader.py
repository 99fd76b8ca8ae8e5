"""The body of a verified request: its source parses it, its messages are stored, the unparsed rest is quarantined."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from msgspec import structs

from rfctl.errors import BadRequestError
from rfctl.ingest.group_commit import StoreMessages
from rfctl.ingest.rejections import RejectedError
from rfctl.model.message import Message, Renaming, Unparsed, with_placeholder
from rfctl.model.stored import Added
from rfctl.sources.contract import ParseResult, ServedSource, UnparsedError
from rfctl.sources.tenants import Tenants
from rfctl.store.counters import Counters
from rfctl.store.quarantine import Quarantine

MoveAliases = Callable[[Sequence[Renaming]], Awaitable[None]]
"""Puts new second ids in the place of former ones. Raises RfctlError."""
_log = structlog.get_logger("ingest")
_MAX_MESSAGES = 10_000
_MAX_PARTS = 100_000
"""Objects and arrays of a body. In memory each takes a hundred times the bytes that it may have in JSON."""
_FEW_BYTES = 65_536


class BodyReader:
    """Parses bodies. `placeholder` is the text of a message without words, and `count` adds to the totals."""

    def __init__(self, placeholder: str, count: Callable[[Mapping[str, int]], None]) -> None:
        self._placeholder = placeholder
        self._count = count

    def reconfigure(self, placeholder: str) -> None:
        """Use another placeholder from now on."""
        self._placeholder = placeholder

    def read(self, served: ServedSource, body: bytes) -> ParseResult:
        """Parse a body as it came by a request. Raises RejectedError for one that is wrong, or has too much in it."""
        if len(body) > _FEW_BYTES:
            _check_parts(served, body)
        try:
            parsed = self.parse(served, body)
        except BadRequestError as problem:
            raise RejectedError(problem.fact, problem.status, "invalid-body", source=served.name) from None
        if len(parsed.messages) > _MAX_MESSAGES:
            fact = f"the body has more than {_MAX_MESSAGES} messages: send them in several requests"
            raise RejectedError(fact, 413, "body-too-large", source=served.name)
        return parsed

    def parse(self, served: ServedSource, body: bytes) -> ParseResult:
        """Parse a body. Parts that its source cannot read, or crashes on, are unparsed. Raises BadRequestError."""
        try:
            parsed, tenants = served.source.parse(body), served.tenants
            return parsed if tenants is None else self._assign_companies(tenants, served, parsed, body)
        except UnparsedError as problem:
            return ParseResult(unparsed=[Unparsed(body, problem.fact)])
        except BadRequestError:
            raise
        except Exception as problem:  # a bug of a source must not lose the request
            _log.exception("source_crashed", source=served.name, problem=repr(problem))
            return ParseResult(unparsed=[Unparsed(body, f"a bug in rfctl: {type(problem).__name__}")])

    def _assign_companies(
        self, tenants: Tenants, served: ServedSource, parsed: ParseResult, body: bytes
    ) -> ParseResult:
        parsed, kept = tenants.assign(served.source, parsed, body)
        if kept:
            self._count({f"unknown_account:{served.name}": kept})
        return parsed

    def prepare(self, messages: Sequence[Message], traceparent: str) -> Sequence[Message]:
        """Return the messages as they are to be stored: what has no words gets the placeholder, and all get the trace."""
        if traceparent:
            messages = [structs.replace(message, traceparent=traceparent) for message in messages]
        for message in messages:
            if not message.text:
                return [with_placeholder(message, self._placeholder) for message in messages]
        return messages


class Reader(BodyReader):
    """Parses bodies, and stores what is in them."""

    def __init__(
        self, store_messages: StoreMessages, quarantine: Quarantine, counters: Counters, placeholder: str
    ) -> None:
        super().__init__(placeholder, counters.add)
        self._store_messages = store_messages
        self._quarantine = quarantine

    async def store(self, messages: Sequence[Message], traceparent: str = "") -> list[Added]:
        """Store messages. Returns what became of each, in their order. Raises RfctlError."""
        return await self._store_messages(self.prepare(messages, traceparent)) if messages else []

    async def quarantine(self, served: ServedSource, unparsed: Sequence[Unparsed]) -> None:
        """Store the unparsed parts without the provider's secrets. Raises RfctlError: then nothing was stored."""
        redacted = [Unparsed(served.source.redact(part.body), part.why) for part in unparsed]
        if redacted:
            await self._quarantine.add(served.name, served.type, redacted)


def _check_parts(served: ServedSource, body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") > _MAX_PARTS:
        fact = f"the body has more than {_MAX_PARTS} objects and arrays"
        raise RejectedError(fact, 413, "body-too-large", source=served.name)


def find_rejection(results: Sequence[Added]) -> str:
    """Return why the first rejected message could not be stored; "" when all were stored."""
    for result in results:
        if result.rejected:
            return f"not every message could be stored: {result.rejected}"
    return ""
