"""A house with a real daemon: two sources, three sinks, a group of workers that nobody reads for, and people who write."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import redis

from tests.support.processes import Process, environment, send

_SETTINGS = """
redis.url = "{redis}"
http.port = 0
http.admin_token = "{token}"
batching.quiet_ms = {quiet_ms}
batching.max_wait_ms = {max_wait_ms}
batching.max_size = 10
output.stream = "messages"
[sources.salon]
type = "generic"
[sources.shop]
type = "generic"
secrets = ["a secret that the shop does not have"]
[sinks.bot]
type = "http"
url = "{receivers}/bot"
allow_private = true
[sinks.crm]
type = "http"
url = "{receivers}/crm"
allow_private = true
retry_delays_ms = [60000, 300000, 3600000]
[sinks.audit]
type = "list"
key = "audit"
"""


class House:
    """Everything runs while the block lasts. `statuses` says what each receiver answers; others take everything."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        *,
        quiet_ms: int = 5000,
        max_wait_ms: int = 30_000,
        token: str = "",
    ) -> None:
        self.statuses: dict[str, int] = {}
        self.settings_file = folder / "rfctl.toml"
        self._folder, self._redis_url, self._ids = folder, redis_url, itertools.count()
        self._settings = {
            "quiet_ms": quiet_ms,
            "max_wait_ms": max_wait_ms,
            "token": token,
            "redis": redis_url,
        }

    def __enter__(self) -> Self:
        handler = type("Receiver", (_Receiver,), {"statuses": self.statuses})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        receivers = f"http://127.0.0.1:{self._http.server_port}"
        self.settings_file.write_text(_SETTINGS.format(receivers=receivers, **self._settings))
        command = [sys.executable, "-m", "rfctl", "serve", "--config", str(self.settings_file)]
        self.daemon = Process(command, environment(self._folder))
        started = self.daemon.stderr.wait_for(lambda line: '"daemon_started"' in line)
        self.url = str(json.loads(started)["listener"])
        with contextlib.closing(redis.Redis.from_url(self._redis_url)) as client:
            client.xgroup_create("messages", "reports", id="0", mkstream=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.daemon.end()
        self._http.shutdown()
        self._http.server_close()

    def write(self, phone: str, *texts: str, source: str = "salon") -> None:
        """Let a person write. Raises HTTPError where the source refuses it."""
        for text in texts:
            body = {"from": phone, "body": text, "id": f"message-{next(self._ids)}"}
            self._post(f"/webhook/{source}", body)

    def be_refused(self, count: int) -> None:
        """Send requests whose signature is wrong."""
        for _ in range(count):
            with contextlib.suppress(urllib.error.HTTPError):
                self.write("79009999999", "hello", source="shop")

    def act(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do an action as the page of this machine does."""
        state = send(urllib.request.Request(f"{self.url}/page/state"))
        return self._post(f"/page/actions/{name}", body, {"X-Rfctl-Csrf": state["csrf"], "Origin": self.url})

    def read_state(self) -> dict[str, Any]:
        """Return the present Overview, as the page gets it."""
        state = send(urllib.request.Request(f"{self.url}/page/state"))
        return cast(dict[str, Any], state["overview"])

    def _post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        fields = {"Content-Type": "application/json", **(headers or {})}
        return send(urllib.request.Request(self.url + path, json.dumps(body).encode(), fields))


class _Receiver(BaseHTTPRequestHandler):
    statuses: Mapping[str, int]

    def log_message(self, *args: Any, **more: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(self.statuses.get(self.path.strip("/"), 204))
        self.send_header("Content-Length", "0")
        self.end_headers()
