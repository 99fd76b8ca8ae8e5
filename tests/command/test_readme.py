"""Every command and program of the README, run as it stands there; only addresses are put in."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command.test_commands import Daemon
from tests.conftest import RFCTL, environment, rfctl
from tests.servers import RedisServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|python|js)\n(.*?)```", README, re.DOTALL)
SHELL = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


def program(kind: str, server: RedisServer) -> str:
    [text] = [text for one, text in BLOCKS if one == kind]
    return text.replace("redis://127.0.0.1:6379/0", server.url)


def the(start: str) -> str:
    [line] = [line for line in SHELL if line.startswith(start)]
    return line


@pytest.fixture
def merged(server: RedisServer, tmp_path: Path):
    """A daemon that took the README's curl and handed it over."""
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_BATCHING__QUIET_MS="100")
    curl = the("curl ").replace("http://127.0.0.1:3000", daemon.url)
    said = subprocess.run(
        ["bash", "-c", "curl -s --noproxy '*' " + curl[5:]], capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout)["addedCount"] == 1
    time.sleep(0.4)
    yield server
    daemon.end()


def first_line(command: list[str], **variables: str) -> str:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    )
    assert process.stdout is not None
    try:
        return process.stdout.readline()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_the_python_worker_reads_it(merged: RedisServer):
    assert (
        first_line([sys.executable, "-c", program("python", merged)]) == "79001234567 962302 Привет, quiet\n"
    )


def test_the_node_worker_reads_it(merged: RedisServer):
    node = shutil.which("node")
    probe = [node or "", "-e", "require('ioredis')"]
    if node is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs node, and ioredis on NODE_PATH")
    assert first_line([node, "-e", program("js", merged)]) == "79001234567 962302 Привет, quiet\n"


def test_redis_cli_reads_it(merged: RedisServer):
    if shutil.which("redis-cli") is None:
        pytest.skip("needs redis-cli (Debian's redis-tools)")
    for line in (line for line in SHELL if line.startswith("redis-cli")):
        command = line.replace("redis-cli", f"redis-cli -p {merged.port}")
        said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Привет," in said.stdout


def test_every_rfctl_line_is_a_command_that_is_understood(server: RedisServer, tmp_path: Path):
    lines = [line.partition("#")[0].split() for line in SHELL if line.startswith("rfctl ")]
    assert len(lines) == 8
    for line in lines:
        ending = ("stats", "tail", "serve")
        if line[1] in ending:
            process = subprocess.Popen(
                [RFCTL, *line[1:], *(("--port", "0") if line[1] == "serve" else ()), "--redis", server.url],
                env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0, line
        else:
            assert rfctl(tmp_path, *line[1:], "--redis", server.url).returncode in (0, 3, 69), line


def test_there_are_exactly_two_set_up_commands():
    assert len([line for line in SHELL if "pip install" in line]) == 2
