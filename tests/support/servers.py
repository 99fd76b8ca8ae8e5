"""Real servers that a test starts itself: free ports on loopback, a folder of their own, nothing left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from rfctl.store.embedded import answers, binary, free_port

KINDS = [kind for kind in os.environ.get("TEST_REDIS_SERVERS", "embedded").split(",") if kind]


def program(kind: str) -> str:
    if kind == "embedded":
        return binary()
    found = shutil.which(kind)
    if found is None:
        raise RuntimeError(f"TEST_REDIS_SERVERS names {kind}, which is not on this machine")
    return found


class RedisServer:
    def __init__(self, kind: str, *extra: str, appendonly: str = "yes") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rfctl-test-"))
        self.kind, self.extra, self.appendonly = kind, extra, appendonly
        self.port = free_port()
        self.socket = str(self.folder / "s.sock")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        command = [
            program(self.kind), "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket,
            "--dir", str(self.folder), "--save", "", "--appendonly", self.appendonly, "--appendfsync", "always",
            *self.extra,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not (answers(self.socket) or ("--requirepass" in self.extra and Path(self.socket).exists())):
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
