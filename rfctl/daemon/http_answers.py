"""The bytes of an answer on the hot path. What the answers of one second share is rendered once."""

from __future__ import annotations

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from rfctl.ingest.responses import Answer


class AnswerWriter:
    """Renders the answers of one server."""

    def __init__(self) -> None:
        self._default_headers: Sequence[tuple[bytes, bytes]] | None = None
        self._lines = b""
        self._heads: dict[int, bytes] = {}
        """What stands before a body on the usual answer, by its length: the few that came since the headers changed."""

    def render(
        self, answer: Answer, default_headers: Sequence[tuple[bytes, bytes]], *, can_stay: bool
    ) -> bytes:
        """Return a whole answer. The headers that every answer has are rendered anew when they are another object."""
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._lines = b"".join([b"%b: %b\r\n" % field for field in default_headers])
            self._heads = {}
        body = answer.body
        if answer.status == 200 and body and can_stay and not answer.headers:
            return (self._heads.get(len(body)) or self._keep_head(answer)) + body
        end = b"\r\n" if can_stay else b"connection: close\r\n\r\n"
        return self._render_head(answer) + end + body

    def _render_head(self, answer: Answer) -> bytes:
        """Return the lines of the head, without what ends it."""
        return STATUS_LINE[answer.status] + self._lines + answer.render_fields()

    def _keep_head(self, answer: Answer) -> bytes:
        head = self._heads[len(answer.body)] = self._render_head(answer) + b"\r\n"
        return head
