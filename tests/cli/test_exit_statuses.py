"""What a script may rely on: which status each failure ends with, and that its words lead on."""

from __future__ import annotations

import ctypes
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rfctl.store import Daemons
from rfctl.store.connection import Connection
from tests.support.keys import SHARD
from tests.support.processes import RFCTL, Daemon, environment, rfctl, run
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.terminals import Terminal
from tests.support.waiting import until

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else has."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


def test_serve_on_a_taken_port_is_to_be_tried_again(taken: int, tmp_path: Path) -> None:
    result = rfctl(tmp_path, "serve", "--port", str(taken), "--redis", NOBODY)
    assert result.returncode == 75
    assert f"cannot listen on 127.0.0.1:{taken}: Address already in use" in result.stderr
    assert f"next: `ss -ltnp 'sport = :{taken}'`" in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_locale_without_our_signs_refuses_no_answer(
    server: RedisServer, tmp_path: Path, encoding: str
) -> None:
    """A pipe gets UTF-8, and a terminal codes for what it cannot show."""
    line = ["stats", "--redis", server.url]
    piped = rfctl(tmp_path, *line, PYTHONIOENCODING=encoding)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert "FAILING" in piped.stdout
    with Terminal([RFCTL, *line], environment(tmp_path, PYTHONIOENCODING=encoding)) as terminal:
        assert terminal.wait_for_end() == 0
        assert "\\u2716" in terminal.text
        assert "a bug" not in terminal.text


def test_unit_restarts_on_every_temporary_exit_status(tmp_path: Path) -> None:
    unit = rfctl(tmp_path, "export", "unit").stdout
    assert re.findall(r"(?m)^RestartPreventExitStatus=(.*)$", unit) == ["2 78"]
    assert "Restart=always" in unit


@pytest.mark.parametrize(
    ("line", "option"),
    [
        (["serve", "--port", "99999"], "--port"),
        (["serve", "--host", ""], "--host"),
        (["stats", "--redis", "localhost:6379"], "--redis"),
        (["stats", "--redis", "redis://h:x/0"], "--redis"),
        (["serve", "--port", "0", "--redis", "redis://[h/0"], "--redis"),
    ],
)
def test_a_wrong_value_on_the_command_line_is_usage(tmp_path: Path, line: list[str], option: str) -> None:
    result = rfctl(tmp_path, *line)
    assert (result.returncode, result.stdout) == (2, "")
    assert "1 command-line option is wrong" in result.stderr
    assert f"flag {option}" in result.stderr
    assert "next: " in result.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("RFCTL_HTTP__PORT", "99999"), ("RFCTL_REDIS__URL", "redis://h:x/0"), ("RFCTL_HTTP__HOST", "")],
)
def test_the_same_value_from_elsewhere_is_a_wrong_setting(tmp_path: Path, variable: str, value: str) -> None:
    variables: dict[str, Any] = {"RFCTL_HTTP__PORT": "0", variable: value}
    result = rfctl(tmp_path, "serve", "--role", "all", **variables)
    assert result.returncode == 78
    assert f"variable {variable}" in result.stderr


def _bound_by_permissions() -> None:
    """Take root's right to read every file; nobody else has it, and the call fails."""
    pr_capbset_drop, dac_override, dac_read_search = 24, 1, 2
    libc = ctypes.CDLL(None)
    libc.prctl(pr_capbset_drop, dac_override, 0, 0, 0)
    libc.prctl(pr_capbset_drop, dac_read_search, 0, 0, 0)


def test_unreadable_settings_file_is_named_with_78(tmp_path: Path) -> None:
    file = tmp_path / "secret.toml"
    file.touch(mode=0o000)
    line = [RFCTL, "config", "check", "--config", str(file)]
    result = run(line, environment(tmp_path), preexec_fn=_bound_by_permissions)
    assert f"{file}: cannot be read: Permission denied" in result.stderr
    assert result.returncode == 78


async def test_simulate_reports_the_reason_of_a_busy_daemon(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url)
    connection = Connection.open(patient_address(server.url))
    try:
        await until(Daemons(connection, SHARD).list_alive)
        await connection.call("CONFIG", "SET", "maxmemory", 1)
        result = rfctl(tmp_path, "simulate", "--via", "webhook", "--redis", server.url)
        assert "answered 503: Redis cannot take this now" in result.stderr
        assert "next: " in result.stderr
        assert result.returncode == 75
    finally:
        await connection.close()
        daemon.end()


async def test_simulate_on_a_redis_that_refuses_writes_does_not_blame_the_daemons(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    connection = Connection.open(patient_address(server.url))
    await connection.call("CONFIG", "SET", "maxmemory", 1)
    await connection.close()
    result = rfctl(tmp_path, "simulate", "--redis", server.url)
    assert result.returncode == 75
    assert "its memory is full" in result.stderr
    assert "no processor" not in result.stderr
