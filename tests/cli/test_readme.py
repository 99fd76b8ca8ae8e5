"""Every command and program of the README, run as it stands there; only addresses are put in."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.page_blocks import find_line, read_blocks, read_shell_lines
from tests.support.processes import RFCTL, Daemon, Process, environment, run
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

README = "README.md"
PROGRAM = {"FORCE_COLOR": "", "PYTHONUNBUFFERED": "1"}
LOCAL = "redis://127.0.0.1:6379/0"


def send_hello(daemon: Daemon) -> None:
    """Type the README's curl."""
    curl = find_line(README, "curl ").replace("http://127.0.0.1:3000", daemon.url)
    answer = run(["bash", "-c", "curl -s --noproxy '*' " + curl.removeprefix("curl ")], os.environ)
    assert json.loads(answer.stdout)["addedCount"] == 1


def find_settings(word: str) -> str:
    [text] = [text for text in read_blocks(README, "toml") if word in text]
    return text


@pytest.fixture
def merged(server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A server whose daemon took the README's curl, and hands it over."""
    with Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_BATCHING__QUIET_MS="100") as daemon:
        send_hello(daemon)
        yield server


def test_the_first_message_of_ones_own_comes_as_it_is_printed(tmp_path: Path) -> None:
    serve, tail = find_line(README, "rfctl serve").split()[2:], find_line(README, "rfctl tail").split()[1:]
    state = {"RFCTL_REDIS__EMBEDDED_DIR": str(tmp_path / "state")}
    with Daemon(tmp_path, *serve, RFCTL_BATCHING__QUIET_MS="100", **state) as daemon:
        send_hello(daemon)
        with Process([RFCTL, *tail], environment(tmp_path, **state)) as following:
            assert "79001234567  1 as one" in following.stdout.wait_for(lambda line: "<--" in line)


def test_no_line_for_a_shell_is_left_out_here() -> None:
    begun = [" ".join(line.split()[:2]) for line in read_shell_lines(README)]
    assert [start.partition(" http")[0] for start in begun] == [
        "python3 -m", "rfctl serve", "curl", "rfctl tail", "python3 -m",
    ]  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("rfctl.worker") is None, reason="needs rfctl.worker")
def test_python_worker_runs(merged: RedisServer, tmp_path: Path) -> None:
    [text] = read_blocks(README, "python")
    variables = environment(tmp_path, RFCTL_REDIS__URL=merged.url, **PROGRAM)
    with Process([sys.executable, "-c", text], variables) as worker:
        assert worker.stdout.read_line() == "79001234567 Hello\n"


def test_node_worker_runs(server: RedisServer, tmp_path: Path) -> None:
    node, modules = shutil.which("node"), os.environ.get("TEST_BULLMQ6")
    if node is None or modules is None:
        pytest.skip("needs node (Debian's nodejs), and BullMQ: scripts/test fetches it")
    settings = tmp_path / "rfctl.toml"
    settings.write_text(find_settings("bullmq").replace(LOCAL, server.url))
    [text] = read_blocks(README, "js")
    variables = environment(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_BATCHING__QUIET_MS="100")
    with Daemon(tmp_path, "--config", str(settings), **variables) as daemon:
        send_hello(daemon)
        path = os.pathsep.join([f"{modules}/node_modules"])
        with Process(
            [node, "-e", text.replace(LOCAL, server.url)], {**variables, "NODE_PATH": path}
        ) as worker:
            assert worker.stdout.read_line() == "79001234567 Hello\n"


@pytest.mark.parametrize("sink", ["n8n", "bot.example.com"])
async def test_a_post_comes(server: RedisServer, tmp_path: Path, sink: str) -> None:
    text = find_settings(sink)
    settings = tmp_path / "rfctl.toml"
    async with HttpReceiver() as receiver:
        lines = [f'url = "{receiver.url}"' if line.startswith("url") else line for line in text.splitlines()]
        settings.write_text("\n".join([*lines, "allow_private = true"]))
        variables: dict[str, Any] = {"RFCTL_REDIS__URL": server.url, "RFCTL_BATCHING__QUIET_MS": "100"}
        with Daemon(tmp_path, "--config", str(settings), **variables) as daemon:
            daemon.post({"from": "79001234567", "message": "Hello"})
            await until(lambda: receiver.taken)
    [request] = receiver.taken
    assert (request["body"]["from"], request["body"]["message"]) == ("79001234567", "Hello")
    assert ("webhook-signature" in request["headers"]) == ("secrets" in text)
