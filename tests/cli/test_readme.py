"""Every command and program of the README, run as it stands there; only addresses are put in."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.batching import build_policy
from rfctl.assembly.sinks import build_target, list_forwarded_sinks
from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.model.delivery import Delivery
from rfctl.model.stored import decode_merged
from rfctl.sinks.payload import payload
from rfctl.sinks.registry import list_types
from rfctl.sources.registry import SPECS as SOURCES
from tests.support.processes import RFCTL, Daemon, Process, environment, rfctl, run
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|python|js|toml|json)\n(.*?)```", README, re.DOTALL)
SHELL = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


def program(kind: str, server: RedisServer) -> str:
    [text] = [text for block, text in BLOCKS if block == kind and "redis://" in text]
    return str(text.replace("redis://127.0.0.1:6379/0", server.url))


def the(start: str) -> str:
    [line] = [line for line in SHELL if line.startswith(start)]
    return str(line)


@pytest.fixture
def merged(server: RedisServer, tmp_path: Path) -> Iterator[Any]:
    """A daemon that took the README's curl and handed it over."""
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_BATCHING__QUIET_MS="100")
    curl = the("curl ").replace("http://127.0.0.1:3000", daemon.url)
    answer = run(["bash", "-c", "curl -s --noproxy '*' " + curl[5:]], os.environ)
    assert json.loads(answer.stdout)["addedCount"] == 1
    with server.client() as client:
        wait_until(lambda: client.xlen("rfctl:out"))
    yield server
    daemon.end()


def first_line(command: list[str]) -> str:
    with Process(command, {**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        return process.stdout.read_line()


def test_readme_python_worker_runs(merged: RedisServer) -> None:
    assert (
        first_line([sys.executable, "-c", program("python", merged)]) == "79001234567 962302 Привет, quiet\n"
    )


def test_readme_node_worker_runs(merged: RedisServer) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node (Debian's nodejs), and ioredis on NODE_PATH: scripts/test fetches it")
    if run([node, "-e", "require('ioredis')"], os.environ).returncode:
        pytest.skip("needs ioredis on NODE_PATH: scripts/test fetches it, or npm install ioredis")
    assert first_line([node, "-e", program("js", merged)]) == "79001234567 962302 Привет, quiet\n"


def test_readme_redis_cli_example_runs(merged: RedisServer) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("needs redis-cli (Debian's redis-tools)")
    for line in (line for line in SHELL if line.startswith("redis-cli")):
        command = line.replace("redis-cli", f"redis-cli -p {merged.port}")
        done = run(["bash", "-c", command], os.environ)
        assert done.returncode == 0, done.stderr
    assert "Привет," in done.stdout


def test_every_rfctl_line_is_a_command_that_is_understood(server: RedisServer, tmp_path: Path) -> None:
    lines = [line.partition("#")[0].split() for line in SHELL if line.startswith("rfctl ")]
    assert len(lines) == 22
    for line in lines:
        ending = ("stats", "tail", "serve")
        if line[1] in ending:
            began = {"serve": '"daemon_started"', "tail": "following", "stats": "Redis"}[line[1]]
            port = ("--port", "0") if line[1] == "serve" else ()
            command = [RFCTL, *line[1:], *port, "--redis", server.url]
            with Process(command, environment(tmp_path)) as process:
                output = process.stdout if line[1] == "stats" else process.stderr
                output.wait_for(lambda text, began=began: began in text)  # type: ignore[misc]
                assert process.end(signal.SIGINT) == 0, line
        else:
            statuses = {"doctor": (0, 1), "check": (0, 1, 2), "forget": (2,)}.get(line[1], (0, 3, 69))
            assert rfctl(tmp_path, *line[1:], "--redis", server.url).returncode in statuses, line


@pytest.mark.parametrize(
    "text", [text for kind, text in BLOCKS if kind == "toml"], ids=lambda text: text.split("]")[0]
)
def test_every_piece_of_settings_is_right_and_makes_its_part(text: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    settings = load(Environment({"HOME": str(tmp_path)}), file=file).settings
    assert build_policy(settings).rules or settings.sinks
    assert set(build_sources(settings)) == set(settings.sources or {"generic"})
    for name, item in list_forwarded_sinks(settings).items():
        assert build_target(name, item, redis_url=settings.redis.url).name == name


def test_every_type_of_source_and_sink_is_shown() -> None:
    shown = set(re.findall(r'type = "([a-z-]+)"', README))
    assert shown >= set(SOURCES)
    assert shown >= {kind for kind in list_types() if kind != "shout"}


def test_a_sink_of_ones_own_delivers(server: RedisServer, tmp_path: Path) -> None:
    [text] = [text for kind, text in BLOCKS if kind == "python" and "class Shout" in text]
    assert len(text.strip().splitlines()) <= 18
    (tmp_path / "my_sink.py").write_text(text)
    package = tmp_path / "my_sink-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: my-sink\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[rfctl.sinks]\nshout = my_sink:Shout\n")
    settings = tmp_path / "c.toml"
    settings.write_text('[sinks.x]\ntype = "shout"\n[sinks.x.options]\nword = "now"\n')
    variables = {
        "RFCTL_REDIS__URL": server.url,
        "RFCTL_BATCHING__QUIET_MS": "50",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))),
    }
    out = tmp_path / "out"
    with out.open("wb") as stdout:
        daemon = Daemon(tmp_path, "--config", str(settings), stdout=stdout, **variables)
        try:
            daemon.post({"from": "7", "message": "quietly"})
            wait_until(out.read_text)
        finally:
            daemon.end()
    assert re.fullmatch(r"now msg_[0-9a-f]{24} QUIETLY\n", out.read_text())


def test_readme_payload_is_the_one_of_the_http_sink() -> None:
    [text] = [text for kind, text in BLOCKS if kind == "json"]
    shown = json.loads(text)
    raw = b'{"message":"x","companyId":962302,"channel":"salon","messageId":"w","type":"text","metadata":{},"receivedAt":1}'
    fields = {"phone": b"79001234567", "company": b"962302", "count": b"4", "messages": b"[" + raw + b"]"}
    real = payload(Delivery("1-0", decode_merged("1-0", fields)))
    assert set(shown) == set(real)
    assert set(shown["metadata"]) <= set(real["metadata"])
    assert {name: type(value) for name, value in shown.items()} == {
        name: type(value) for name, value in real.items()
    }


def test_there_are_exactly_two_set_up_commands() -> None:
    assert len([line for line in SHELL if "pip install" in line]) == 2
