"""The nearest rival: hookspool, which keeps batches in SQLite on one host.

`intake` and `dispatch` run apart, as its own start page has it. Its batches are full at ten, as those of the others, and its
destination is paused: nobody of the contenders delivers. The tuned one has many threads, and looks twenty times a second.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.contender import MissingContenderError, Running, answers
from tests.support.processes import Process, environment
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import wait_until

VERSION, TOKEN = "0.2.0", "a-token-of-the-bench"
INSTALL_S, START_S = 120, 60
CONFIG = """
alerts.dry = true
limits.min_free_bytes = 0
[intake]
listen = "127.0.0.1:{port}"
{intake}
[dispatch]
{dispatch}
[bobbins.chat]
bobbin = "hookspool.webhook"
outputs = {{ "*" = "http:bot" }}
quiet_s = 3600
max_s = 7200
max_events = 10
settings = {{ scheme = "shared-secret-header", header = "X-Token", key = ["from"], dedup = "messageId" }}
secrets.secret = {{ file = "{folder}/token" }}
[destinations."http:bot"]
type = "http"
url = "http://127.0.0.1:9/hook"
allow_insecure = true
secret = {{ file = "{folder}/secret" }}
"""


def install_hookspool() -> Path:
    """Return the folder with the package, which is installed once. Raises MissingContenderError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "rfctl-bench" / f"hookspool-{VERSION}"
    if (folder / "hookspool").exists():
        return folder
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        f"hookspool=={VERSION}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if done.returncode:
        raise MissingContenderError(f"pip install failed: {done.stderr.strip()[-300:]}")
    return folder


@contextlib.contextmanager
def serve_hookspool(folder: Path, _server: RedisServer, *, tuned: bool) -> Iterator[Running]:
    """Run hookspool in a folder of its own."""
    variables = environment(folder, PYTHONPATH=str(install_hookspool()))
    port = pick_port()
    _write_settings(folder, port, tuned=tuned)
    command = [sys.executable, "-m", "hookspool", "--home", str(folder)]
    for step in (["migrate"], ["pause", "http:bot"]):
        done = subprocess.run(
            [*command, *step], env=variables, capture_output=True, text=True, check=False, timeout=START_S
        )
        if done.returncode:
            raise MissingContenderError(f"hookspool {step[0]}: {done.stderr.strip()[-300:]}")
    with (
        Process([*command, "dispatch"], variables) as dispatch,
        Process([*command, "intake"], variables) as intake,
    ):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/healthz"), START_S)
        with contextlib.closing(sqlite3.connect(folder / "spool.db")) as spool:
            yield Running(
                f"{url}/hooks/chat", [intake.pid, dispatch.pid], lambda: _count(spool), f"X-Token: {TOKEN}"
            )


def _write_settings(folder: Path, port: int, *, tuned: bool) -> None:
    intake, dispatch = ("threads = 256", "poll_s = 0.05") if tuned else ("", "")
    text = CONFIG.format(port=port, folder=folder, intake=intake, dispatch=dispatch)
    for name, content in {"config.toml": text, "token": TOKEN, "secret": f"whsec_{'c2VjcmV0' * 4}"}.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)


def _count(spool: sqlite3.Connection) -> int:
    return int(spool.execute("SELECT count(*) FROM events").fetchone()[0])
