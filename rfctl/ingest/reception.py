"""A request that the receiver has in hand: what is asked of whoever brought it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from rfctl.ingest.head import Head
from rfctl.ingest.responses import Answer
from rfctl.sources.contract import ServedSource

if TYPE_CHECKING:
    from rfctl.observe.tracing import OpenSpan, Tracing

_NOTHING: Mapping[str, int] = MappingProxyType({})


class Reception(msgspec.Struct, eq=False):
    """A request, from its head to its answer, which comes once. `skipped` counts by kind what is no message in it.

    One is built for each message, so it is a struct, and has no function of its own for what becomes of it.
    """

    served: ServedSource
    head: Head
    skipped: Mapping[str, int] = _NOTHING

    @abstractmethod
    def answer(self, answer: Answer) -> None:
        """Answer the request."""


class TracedReception(Reception, eq=False, kw_only=True):
    """A request with a span that ends with its answer. Its head names the span as its trace."""

    inner: Reception
    span: OpenSpan

    def answer(self, answer: Answer) -> None:
        """Answer the request."""
        self.span.end("http.response.status_code", answer.status, is_failure=answer.status >= 500)
        self.inner.answer(answer)


def begin_span(tracing: Tracing, request: Reception) -> Reception:
    """Return a request with a span around what is done for it from now on."""
    served, head = request.served, request.head
    span = tracing.begin_receive(served.name, head.traceparent)
    return TracedReception(served, head.with_traceparent(span.traceparent), inner=request, span=span)


class AwaitedReception(Reception, eq=False, kw_only=True):
    """A request whose answer a task waits for."""

    future: asyncio.Future[Answer]

    def answer(self, answer: Answer) -> None:
        """Answer the request, unless nobody waits any more."""
        if not self.future.done():  # the app may be cancelled
            self.future.set_result(answer)
