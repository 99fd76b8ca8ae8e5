"""The line that `serve --embedded` and `demo --keep` print lets every reader in another shell find the server."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.processes import RFCTL, Daemon, Process, environment, rfctl, run
from tests.support.terminals import Terminal
from tests.support.waiting import PATIENCE_S, wait_until

LINE = "export RFCTL_REDIS__URL="
PHONE = "79001234567"
READ_STREAM = """
import os, redis
stream = redis.Redis.from_url(os.environ["RFCTL_REDIS__URL"], decode_responses=True).xrange("rfctl:out")
print([merged["text"] for _, merged in stream])
"""


def type_in_shell(tmp_path: Path, *lines: str, shell: str = "sh") -> str:
    """Type lines into a shell that knows nothing of the daemon, and return what it printed."""
    done = run([shell, "-e", "-c", "\n".join(lines)], environment(tmp_path))
    assert done.returncode == 0, done.stderr
    return done.stdout


def count_in(tmp_path: Path, line: str) -> int:
    return int(
        json.loads(type_in_shell(tmp_path, line, f"{RFCTL} stats --json"))["totals"].get("messages_in", 0)
    )


def start(folder: Path, **variables: str) -> Daemon:
    folder.mkdir(mode=0o700, exist_ok=True)
    return Daemon(folder, "--embedded", RFCTL_REDIS__EMBEDDED_DIR=str(folder), **variables)


def test_reader_that_looks_into_another_folder_is_told_the_line(tmp_path: Path) -> None:
    """Under systemd the folder is that of the unit, and a shell of the host does not know it."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    with (
        tempfile.TemporaryDirectory(prefix="state ") as state,  # short, so that the socket lies in it
        Daemon(tmp_path, "--embedded", STATE_DIRECTORY=state, XDG_RUNTIME_DIR=str(runtime)) as daemon,
    ):
        wait_until(lambda: any(runtime.rglob("daemon-*.json")))
        done = rfctl(tmp_path, "stats", "--embedded", XDG_RUNTIME_DIR=str(runtime))
        assert done.returncode == 69
        assert f"the daemon on this host (pid {daemon.pid}) has one in {state}" in done.stderr
        [line] = [line.partition("next: ")[2] for line in done.stderr.splitlines() if "next: " in line]
        assert line == daemon.find_event("embedded_server_started")["readers"]
        assert count_in(tmp_path, line) == 0
        daemon.end()


@pytest.fixture
def taken_port() -> Any:
    """A port that another program has: the server has to take a free one."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_the_line_of_the_log_serves_every_reader_on_any_port(tmp_path: Path, taken_port: int) -> None:
    folder = tmp_path / "a folder with spaces"
    variables = {"RFCTL_REDIS__EMBEDDED_PORT": str(taken_port), "RFCTL_BATCHING__QUIET_MS": "100"}
    with start(folder, **variables) as daemon:
        line = daemon.find_event("embedded_server_started")["readers"]
        assert line.startswith(LINE)
        assert daemon.find_event("embedded_port_taken")["port"] != taken_port
        daemon.post({"from": PHONE, "message": "Hello"})
        with redis.Redis.from_url((folder / "store.url").read_text().strip()) as client:
            wait_until(lambda: client.xlen("rfctl:out"))
        assert "Hello" in type_in_shell(tmp_path, line, f"{RFCTL} find {PHONE}")
        assert type_in_shell(tmp_path, line, f"{sys.executable} -c '{READ_STREAM}'") == "['Hello']\n"
        if shutil.which("redis-cli"):  # Debian's redis-tools; redis-py has read the same just now
            assert "Hello" in type_in_shell(
                tmp_path, line, 'redis-cli -u "$RFCTL_REDIS__URL" XRANGE rfctl:out - +'
            )
        with Process(["bash", "-c", f"{line}\n{RFCTL} tail --since 1h"], environment(tmp_path)) as tail:
            assert "Hello" in tail.stdout.wait_for(lambda shown: "<--" in shown)
        assert daemon.end() == 0


@pytest.mark.long
def test_messages_are_there_after_a_restart_behind_the_same_line(tmp_path: Path) -> None:
    with start(tmp_path / "state") as daemon:
        line = daemon.find_event("embedded_server_started")["readers"]
        daemon.post({"from": PHONE, "message": "Hello"})
        assert daemon.end() == 0
    with start(tmp_path / "state") as daemon:
        assert daemon.find_event("embedded_server_started")["readers"] == line
        shown = type_in_shell(tmp_path, line, f"{sys.executable} -c '{READ_STREAM}'", shell="bash")
        assert shown == "['Hello']\n"
        assert daemon.end() == 0


def test_serve_on_a_terminal_prints_the_line_and_ends_when_the_terminal_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    variables = environment(tmp_path, RFCTL_REDIS__EMBEDDED_DIR=str(folder))
    with Terminal([RFCTL, "serve", "--embedded", "--port", "0"], variables) as terminal:
        assert str(folder) in terminal.wait_for_line("Messages are kept in")
        line = terminal.wait_for_line("  " + LINE)
        wait_until(lambda: "readiness_gained" in terminal.text)
        assert count_in(tmp_path, line) == 0
        terminal.send_signal(signal.SIGHUP)  # asks for new settings, while the terminal is there
        wait_until(lambda: "settings_reloaded" in terminal.text)
        terminal.close()
        assert terminal.wait() == 0


def test_the_demo_that_stays_prints_the_line_and_shows_what_you_send(tmp_path: Path) -> None:
    with Terminal([RFCTL, "demo", "--keep"], environment(tmp_path)) as terminal:
        curl, line = terminal.wait_for_line("  curl http"), terminal.wait_for_line("  " + LINE)
        type_in_shell(tmp_path, curl.replace("curl ", "curl -s --noproxy '*' "))
        wait_until(lambda: "79001234567" in terminal.text.partition(line)[2], 2 * PATIENCE_S)
        assert count_in(tmp_path, line) == 19
        assert terminal.end(signal.SIGINT) == 0
