"""A stand-in for the daemon that serves the page: the real files, and answers as a test scripts them."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import msgspec

from rfctl.observe.overview import Overview

STATIC = Path(__file__).parents[2] / "rfctl" / "page" / "static"
CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'"
CSRF = "csrf-of-the-test"
PREFIX = "/behind/a/proxy"
"""The page lives below a path here: every link of it must be relative."""
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Posted:
    """An action that the page asked for."""

    name: str
    csrf: str
    body: Any


@dataclass
class PageStandIn:
    """Serves the page on a free port of loopback, while its block lasts.

    `posted` has the actions. `answers` are their answers by name, with a status; others are done. `persons` are those
    that can be looked up. A changed field is seen at the next request; `show` and `break_off` reach open connections.
    """

    overview: Overview
    may_act: bool = True
    token: str = ""
    answers: dict[str, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)
    persons: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    posted: list[Posted] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    is_up: bool = True
    has_room: bool = True
    """Whether one more stream of events is served."""

    def __enter__(self) -> Self:
        self._changed = threading.Condition()
        self._events: list[tuple[str, Any]] = []
        self._logged_in = False
        self.streams = 0
        handler = type("Handler", (_Handler,), {"page": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}{PREFIX}/"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.break_off()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def show(self, overview: Overview) -> None:
        """Let the next state come, to every page that is open."""
        self.overview = overview
        self._send("state", {"overview": msgspec.to_builtins(overview)})

    def tell_outage(self, fact: str, since_ms: int) -> None:
        """Say that Redis is away."""
        self._send("outage", {"fact": fact, "since_ms": since_ms})

    def break_off(self) -> None:
        """Refuse every request from now on, and end open connections."""
        with self._changed:
            self.is_up = False
            self._changed.notify_all()

    def come_back(self) -> None:
        """Answer again."""
        self.is_up = True

    def _send(self, event: str, content: Any) -> None:
        with self._changed:
            self._events.append((event, content))
            self._changed.notify_all()

    def wait_for_event(self, place: int, within_s: float) -> Sequence[tuple[str, Any]]:
        """Return the events from a place on, none if nothing came in time."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) > place or not self.is_up, within_s)
            return self._events[place:]

    def count_events(self) -> int:
        """Return how many events there are so far."""
        return len(self._events)

    def is_open_to(self, cookie: str) -> bool:
        """Say whether this visitor may see the page."""
        return not self.token or "rfctl_session=yes" in cookie

    def describe_state(self) -> Mapping[str, Any]:
        """Return what `page/state` has."""
        return {
            "overview": msgspec.to_builtins(self.overview),
            "outage": None,
            "may_act": self.may_act,
            "may_log_out": bool(self.token),
            "csrf": CSRF,
        }


class _Handler(BaseHTTPRequestHandler):
    page: PageStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any, **more: Any) -> None:
        """Say nothing: the test asks `requested`."""

    def do_GET(self) -> None:
        path = self._enter()
        if path is None:
            return
        is_open = self.page.is_open_to(self.headers.get("Cookie", ""))
        if path == "/":
            self._send_file("index.html" if is_open else "login.html", 200 if is_open else 401)
        elif (STATIC / path.removeprefix("/page/")).suffix in _TYPES:
            self._send_file(path.removeprefix("/page/"))
        elif not is_open:
            self._send_json(401, {"success": False, "error": "log in first"})
        elif path == "/page/state":
            self._send_json(200, self.page.describe_state())
        elif path == "/page/events" and not self.page.has_room:
            self._send_json(503, {"success": False, "error": "64 browsers watch this daemon already"})
        elif path == "/page/events":
            self._stream()
        elif path == "/page/find":
            phone = parse_qs(urlsplit(self.path).query)["phone"][0]
            nobody = (404, {"success": False, "error": f"nothing is known of {phone}"})
            person = self.page.persons.get(phone)
            self._send_json(*(nobody if person is None else (200, person)))
        else:
            self._send_json(404, {"success": False, "error": "no such path"})

    def do_POST(self) -> None:
        path = self._enter()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if path is None:
            return
        if path == "/page/login":
            self._log_in(parse_qs(body.decode()).get("token", [""])[0])
        elif path.startswith("/page/actions/"):
            if not self.page.is_open_to(self.headers.get("Cookie", "")):
                self._send_json(401, {"success": False, "error": "log in first"})
                return
            name = path.rpartition("/")[2]
            self.page.posted.append(Posted(name, self.headers.get("X-Rfctl-Csrf", ""), json.loads(body)))
            self._send_json(*self.page.answers.get(name, (200, {"done": f"{name}: done"})))
        else:
            self._send_json(404, {"success": False, "error": "no such path"})

    def _enter(self) -> str | None:
        path = urlsplit(self.path).path
        if path == "/favicon.ico":  # asked for beside a bare picture
            self._send(204, b"", "image/x-icon")
            return None
        self.page.requested.append(path)
        if not self.page.is_up:
            self.close_connection = True
            return None
        if not path.startswith(PREFIX + "/"):
            self._send_json(404, {"success": False, "error": "outside of the prefix"})
            return None
        return path.removeprefix(PREFIX)

    def _log_in(self, token: str) -> None:
        if token != self.page.token:
            self._send_json(401, {"success": False, "error": "this is not the admin token"})
            return
        self.send_response(303)
        self.send_header("Location", "../")
        self.send_header("Set-Cookie", "rfctl_session=yes; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_file(self, name: str, status: int = 200) -> None:
        self._send(status, (STATIC / name).read_bytes(), _TYPES[Path(name).suffix])

    def _send_json(self, status: int, content: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        place = self.page.count_events()
        self.page.streams += 1
        try:
            while self.page.is_up:
                events = self.page.wait_for_event(place, 0.2)
                place += len(events)
                text = "".join(f"event: {name}\ndata: {json.dumps(content)}\n\n" for name, content in events)
                self.wfile.write((text or "event: here\ndata: {}\n\n").encode())
                self.wfile.flush()
        except OSError:
            pass  # the page has gone
        finally:
            self.page.streams -= 1
