"""Who is measured side by side: rfctl, what a user would write or pick instead, and the limits of the machine.

Each has a Redis of its own with an append-only file that is synced before each answer.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

import redis

from bench.callgrind import ROOT
from bench.contender import Contender, Count, MissingContenderError, Running, Start, answers
from bench.hookspool import serve_hookspool
from rfctl.sources.generic.node_form import BATCHED
from tests.support.processes import Daemon, Process, environment
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import wait_until

PEERS = ROOT / "bench" / "peers"
START_S, INSTALL_S = 60, 120
COUNT_OF_SCRIPTS = """
local count = 0
for _, phone in ipairs(redis.call('ZRANGE', 'due', 0, -1)) do count = count + redis.call('LLEN', 'rapid-fire:' .. phone) end
return count + redis.call('XLEN', 'out') * 10
"""
"""What the peers that we wrote have stored: pending messages, and batches of ten that have left."""


def open_server() -> RedisServer:
    """Return a Redis for one contender: each write is on the disk before it is answered."""
    server = RedisServer("redis-server", "--auto-aof-rewrite-percentage", "0")
    try:
        return server.start()
    except BaseException:
        server.stop()
        raise


# --- rfctl


@contextlib.contextmanager
def serve_rfctl(folder: Path, server: RedisServer, **variables: str) -> Iterator[Running]:
    """Run the daemon of this tree; batches wait for an hour unless they are full."""
    own = {
        "RFCTL_REDIS__URL": server.url, "PYTHONPATH": str(ROOT), "RFCTL_BATCHING__QUIET_MS": "3600000",
        "RFCTL_BATCHING__MAX_WAIT_MS": "3600000", "RFCTL_DAEMON__DRAIN": "due",
    }  # fmt: skip
    daemon = Daemon(folder, **(own | variables))
    try:
        with server.client() as client:
            yield Running(daemon.url + BATCHED, [daemon.pid], lambda: _count_messages_of_rfctl(client))
        daemon.end()
    finally:
        daemon.kill()


def _count_messages_of_rfctl(client: redis.Redis) -> int:
    return int(str(client.hget("rfctl:totals", "messages_in") or 0))


# --- peers


@cache
def install_peers() -> str:
    """Install the libraries of the peers in their pinned versions. Returns why it failed, or "". It is tried once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node or npm is not installed (Debian: apt-get install nodejs npm)"
    lock, installed = PEERS / "package-lock.json", PEERS / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return ""
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run(
            command, cwd=PEERS, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm ci took more than {INSTALL_S} s"
    return f"npm ci failed: {done.stderr.strip()[-300:]}" if done.returncode else ""


def _serve_node(kind: str, count: Count) -> Start:
    @contextlib.contextmanager
    def serve(folder: Path, server: RedisServer) -> Iterator[Running]:
        if problem := install_peers():
            raise MissingContenderError(problem)
        command = ["node", str(PEERS / "intake.mjs"), kind, str(server.port)]
        variables = environment(folder, NODE_ENV="production")
        with Process(command, variables) as process, server.client() as client:
            line = process.stdout.wait_for(lambda text: text.startswith("listening "), START_S)
            url = f"http://127.0.0.1:{int(line.split()[1])}{BATCHED}"
            yield Running(url, [process.pid], lambda: count(client))

    return serve


@contextlib.contextmanager
def _serve_empty(folder: Path, _server: RedisServer) -> Iterator[Running]:
    port = pick_port()
    command = [
        sys.executable, "-m", "uvicorn", "bench.peers.empty:app", "--port", str(port), "--no-access-log",
        "--lifespan", "off", "--log-level", "warning",
    ]  # fmt: skip
    with Process(command, environment(folder, PYTHONPATH=str(ROOT))) as process:
        url = f"http://127.0.0.1:{port}{BATCHED}"
        wait_until(lambda: answers(url, b"{}"), START_S)
        yield Running(url, [process.pid])


def _count_of_scripts(client: redis.Redis) -> int:
    return int(str(client.eval(COUNT_OF_SCRIPTS, 0)))


def _count_jobs(client: redis.Redis) -> int:
    return int(str(client.llen("bull:messages:wait")))


CONTENDERS = [
    Contender("rfctl", serve_rfctl),
    Contender("Express + script", _serve_node("express-script", _count_of_scripts)),
    Contender("Fastify + script", _serve_node("fastify-script", _count_of_scripts)),
    Contender("Express, command by command", _serve_node("express-commands", _count_of_scripts)),
    Contender("Express + BullMQ add", _serve_node("bullmq", _count_jobs)),
    Contender("uvicorn's empty answer", _serve_empty),
    Contender("hookspool", partial(serve_hookspool, tuned=False), refuses=True),
    Contender("hookspool, tuned", partial(serve_hookspool, tuned=True), refuses=True),
]


@contextlib.contextmanager
def running(
    contenders: list[Contender], folder: Path, report_missing: Callable[[str], None]
) -> Iterator[Mapping[str, tuple[Contender, Running, RedisServer]]]:
    """Run contenders side by side, each with a Redis of its own. Those that cannot run here are reported, and left out."""
    with contextlib.ExitStack() as stack:
        live = {}
        for contender in contenders:
            server = open_server()
            stack.callback(server.stop)
            home = folder / contender.name.replace(" ", "-")
            home.mkdir()
            try:
                live[contender.name] = (contender, stack.enter_context(contender.start(home, server)), server)
            except MissingContenderError as problem:
                report_missing(f"{contender.name} is left out: {problem}")
        yield live
