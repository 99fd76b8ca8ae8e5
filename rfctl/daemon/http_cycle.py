"""One request: its target, its flow control, and its answer, which is 503 when the request is cancelled."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from rfctl.ingest.bodies import RETRY_AFTER_S

_STOPPING = b'{"success":false,"error":"the daemon stops; nothing was acknowledged, send it again"}'
_CRASHED = b'{"success":false,"error":"a bug in rfctl: see its log"}'


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
            await self._answer_instead(503, _STOPPING, [(b"retry-after", RETRY_AFTER_S.encode())])
        except Exception:
            await self._answer_instead(500, _CRASHED, [])
        finally:
            if not self.response_complete and not self.disconnected:
                self.transport.close()
            self.on_response = lambda: None

    async def _answer_instead(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        if self.response_started or self.disconnected or self.flow.write_paused:
            return
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def read_target(target: bytes, scope: HTTPScope, headers: list[tuple[bytes, bytes]]) -> None:
    """Put the target of a request into its scope, and the host that it names into the headers. Raises an error of httptools.

    RFC 9112, 3.2.2: a target that names a host counts, whatever the header says.
    """
    url = httptools.parse_url(target)
    if url.host is not None:
        authority = url.host if url.port is None else b"%b:%d" % (url.host, url.port)
        headers[:] = [*(field for field in headers if field[0] != b"host"), (b"host", authority)]
    scope["raw_path"] = raw_path = url.path or b"/"
    path = raw_path.decode("ascii")
    scope["path"] = unquote(path) if "%" in path else path
    scope["query_string"] = url.query or b""
