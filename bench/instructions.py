"""Counts instructions with valgrind's callgrind: 1,000 messages through the intake, and the script `add` on redis-server.

Counts do not depend on how busy the machine is, and repeat within about 0.1 %. Compare two commits in one environment:

    python bench/instructions.py

Needs valgrind and redis-server. The hash seed is fixed; start-up is taken off by a second, shorter run.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from redis import Redis
from starlette.requests import Request

from rfctl.assembly.batching import build_rules
from rfctl.assembly.sources import build_sources
from rfctl.batching import Batcher
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.ingest import GroupCommit, Receiver
from rfctl.store import Keyspace, Store
from rfctl.store.scripts import ScriptLibrary

WARM_UP, MESSAGES = 100, 1_000
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "HOME": "/nonexistent",
}


def collected(command: list[str], folder: Path, serving: Any = None) -> int:
    """Run a command under callgrind, with `serving` beside it if there is one; returns the instructions."""
    call = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind'}", *command]
    with (folder / "valgrind").open("w+") as errors:
        process = subprocess.Popen(call, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            if serving is not None:
                serving()
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=600)
        finally:
            process.kill()
        errors.seek(0)
        report = errors.read()
    match = re.search(r"Collected : (\d+)", report)
    if match is None:
        raise SystemExit(f"callgrind counted nothing:\n{report[-2000:]}")
    return int(match[1])


# --- the intake


class AnsweringRedis:
    """A connection that takes every message at once, without a socket."""

    db = 0

    async def run(self, _verb: str, _shard: Any, _keys: list[str], args: list[Any]) -> list[int]:
        return [1, 1, 5000] * ((len(args) - 8) // 12)


def request(number: int) -> Any:
    body = json.dumps(
        {
            "from": f"7900{number:07d}",
            "message": "запишите меня",
            "messageId": f"m{number}",
            "companyId": 962302,
        }
    ).encode()
    path = "/webhook/whatsapp/batched"
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3000), "scheme": "http", "http_version": "1.1",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


async def take_in(messages: int) -> None:
    """Send so many messages, one a request, through the receiver of a daemon without settings."""
    settings = load(Environment({"HOME": "/nonexistent"}, Path("/nonexistent/config.toml"))).settings
    answering: Any = AnsweringRedis()
    store = Store(answering, Keyspace(0))
    batcher = Batcher(store, build_rules(settings))
    receiver = Receiver(build_sources(settings), GroupCommit(batcher.add), store.quarantine, store.counters)
    for number in range(messages):
        response = await receiver.receive("generic", request(number))
        assert response.status_code == 200


def intake(messages: int, folder: Path) -> int:
    return collected([sys.executable, __file__, "take-in", str(messages)], folder)


# --- the script `add`


def add(calls: int, each: int, folder: Path) -> int:
    """Count a server that adds `each` messages in each of `calls` calls."""
    path = folder / "s.sock"
    command = [
        "redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no",
        "--dir", str(folder), "--hz", "1",
    ]  # fmt: skip
    return collected(command, folder, lambda: call_add(path, calls, each))


def call_add(path: Path, calls: int, each: int) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit("redis-server did not start")
        time.sleep(0.05)
    with Redis(unix_socket_path=str(path), socket_timeout=60) as client:
        sha = client.script_load(ScriptLibrary().script("add").text)
        for call in range(calls):
            args: list[Any] = [
                "rapid-fire:",
                "last-msg:",
                " ",
                "arrival",
                10_000,
                "rfctl:events:0",
                "rfctl:seen:",
                86_400_000,
            ]
            keys = ["rfctl:due", "rfctl:out", "rfctl:totals", "rfctl:phones", "rfctl:set-aside", "rfctl:ids"]
            phones = [f"7900{number % 500:07d}" for number in range(call * each, (call + 1) * each)]
            for phone in dict.fromkeys(phones):
                keys += [f"rapid-fire:{phone}", f"last-msg:{phone}"]
            keys.append("rfctl:clock")
            for number, phone in enumerate(phones, start=call * each):
                mark = hashlib.blake2b(b"%d" % number, digest_size=11).digest()
                args += [
                    phone,
                    int.from_bytes(mark[:8], signed=True),
                    int.from_bytes(mark[8:]),
                    "",
                    86_400,
                    5_000,
                    10,
                    60_000,
                    "",
                    item(number),
                    "",
                    phone,
                ]
            client.evalsha(sha, len(keys), *keys, *args, "", "")


def item(number: int) -> str:
    head = '{"message":"запишите меня","companyId":962302,"channel":"generic"'
    return f'{head},"messageId":"m{number}","type":"text","metadata":{{}}'


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="rfctl-instructions-"))
    try:
        per_thousand = intake(WARM_UP + MESSAGES, folder) - intake(WARM_UP, folder)
        print(f"intake: {per_thousand:,} instructions for {MESSAGES:,} messages, one a request")
        single = add(10 + MESSAGES, 1, folder) - add(10, 1, folder)
        print(f"add: {single / MESSAGES:,.0f} instructions a message, one a call")
        many = add(110, 50, folder) - add(10, 50, folder)
        print(f"add: {many / 5_000:,.0f} instructions a message, 50 a call")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["take-in"]:
        asyncio.run(take_in(int(sys.argv[2])))
    else:
        main()
