"""The bytes of an answer on the hot path. What the answers of one second share is rendered once."""

from __future__ import annotations

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from rfctl.ingest.responses import LENGTH_AND_TYPE, Answer


class AnswerWriter:
    """Renders the answers of one server."""

    def __init__(self) -> None:
        self._default_headers: Sequence[tuple[bytes, bytes]] | None = None
        self._lines = self._plain = b""

    def render(
        self, answer: Answer, default_headers: Sequence[tuple[bytes, bytes]], *, can_stay: bool
    ) -> bytes:
        """Return a whole answer. The headers that every answer has are rendered anew when they are another object."""
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._lines = b"".join([b"%b: %b\r\n" % field for field in default_headers])
            self._plain = self._render_plain()
        body = answer.body
        if answer.status == 200 and body and can_stay and not answer.headers:
            return self._plain % (len(body), body)
        end = b"\r\n" if can_stay else b"connection: close\r\n\r\n"
        return b"%b%b%b%b%b" % (STATUS_LINE[answer.status], self._lines, answer.render_fields(), end, body)

    def _render_plain(self) -> bytes:
        """Return what nearly all answers are, with room for the length of a body, and the body."""
        fields = LENGTH_AND_TYPE
        return b"%b%b%b\r\n%%b" % (STATUS_LINE[200], self._lines.replace(b"%", b"%%"), fields)
