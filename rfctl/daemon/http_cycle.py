"""One request: its target, its flow control, and its answer, which is 503 when the request is cancelled."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from rfctl.ingest.responses import STOPPING, Answer, make_error_answer

_CRASHED = make_error_answer("a bug in rfctl: see its log", 500)


class Flow(FlowControl):
    """Flow control that does not read on while what was read ahead is not parsed: an app that asks for a body would."""

    is_held = False

    def resume_reading(self) -> None:
        """Read on, unless something is held."""
        if not self.is_held:
            super().resume_reading()


class Cycle(RequestResponseCycle):
    """One request and its answer. An app that is cancelled, as at a stop, has not stored: 503, send it again."""

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the app; whatever it raises, the client gets an answer or a closed connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            await self._answer_instead(STOPPING)
        except Exception:
            await self._answer_instead(_CRASHED)
        finally:
            if not self.response_complete and not self.disconnected:
                self.transport.close()
            self.on_response = lambda: None

    async def _answer_instead(self, answer: Answer) -> None:
        if self.response_started or self.disconnected or self.flow.write_paused:
            return
        self.keep_alive = False
        await self.send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.list_fields()}
        )
        await self.send({"type": "http.response.body", "body": answer.body, "more_body": False})


def build_scope(connection: HttpToolsProtocol) -> HTTPScope:
    """Return the scope of the request whose header is complete. Raises an error of httptools for its target.

    RFC 9112, 3.2.2: a target that names a host counts, whatever the header says.
    """
    url, headers = httptools.parse_url(connection.url), connection.headers
    if url.host is not None:
        authority = url.host if url.port is None else b"%b:%d" % (url.host, url.port)
        headers[:] = [*(field for field in headers if field[0] != b"host"), (b"host", authority)]
    raw_path = url.path or b"/"
    path = raw_path.decode("ascii")
    return {
        "type": "http",
        "asgi": {"version": connection.asgi_version, "spec_version": "2.3"},
        "http_version": connection.parser.get_http_version(),
        "server": connection.server,
        "client": connection.client,
        "scheme": connection.scheme or "http",
        "method": connection.parser.get_method().decode("ascii"),
        "root_path": connection.root_path,
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": url.query or b"",
        "headers": headers,
        "state": connection.app_state.copy(),
    }
