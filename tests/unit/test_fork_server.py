"""A command that is forked is like one that is started: its streams, variables, folder, group, status and end are its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import rfctl
from tests.support.fork_server import Fork, ForkServer
from tests.support.processes import RFCTL, Process, environment
from tests.support.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with contextlib.closing(ForkServer(RFCTL)) as server:
        yield server


def start(server: ForkServer, tmp_path: Path, *line: str, **variables: str) -> Fork:
    return server.start([RFCTL, *line], environment(tmp_path, **variables), cwd=tmp_path)


def read(fork: Fork) -> tuple[int, str, str]:
    assert fork.stdout is not None
    with fork.stdout, fork.stderr:
        return fork.wait(PATIENCE_S), fork.stdout.read(), fork.stderr.read()


def test_fork_prints_and_ends_like_a_start(server: ForkServer, tmp_path: Path) -> None:
    assert read(start(server, tmp_path, "--version")) == (0, f"rfctl {rfctl.__version__}\n", "")
    line = ["--no-such-option"]
    forked = read(start(server, tmp_path, *line))
    started = subprocess.run(
        [RFCTL, *line], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert forked == (started.returncode, started.stdout, started.stderr)
    assert forked[0] == 2


def test_fork_has_the_variables_and_the_folder_that_it_is_given(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "rfctl.toml").write_text("")
    variables = {"RFCTL_HTTP__PORT": "4711", "RFCTL_HTTP__HOST": "::1"}
    status, shown, _ = read(
        start(server, tmp_path, "config", "show", "--config", "rfctl.toml", "-o", "json", **variables)
    )
    assert (status, "4711" in shown, "::1" in shown) == (0, True, True)
    assert "4711" not in read(start(server, tmp_path, "config", "show", "--config", "rfctl.toml"))[1]


def test_signal_ends_a_fork_and_its_group(server: ForkServer, tmp_path: Path) -> None:
    fork = start(server, tmp_path, "serve", RFCTL_REDIS__URL="redis://127.0.0.1:1/0", RFCTL_HTTP__PORT="0")
    assert os.getpgid(fork.pid) == fork.pid != os.getpgid(0)
    assert fork.poll() is None
    os.killpg(fork.pid, signal.SIGKILL)
    assert read(fork)[0] == -signal.SIGKILL
    fork.send_signal(signal.SIGTERM)  # to nobody


def test_wait_for_a_fork_that_goes_on_ends_in_time(server: ForkServer, tmp_path: Path) -> None:
    fork = start(server, tmp_path, "serve", RFCTL_REDIS__URL="redis://127.0.0.1:1/0", RFCTL_HTTP__PORT="0")
    with pytest.raises(subprocess.TimeoutExpired):
        fork.wait(0)
    fork.send_signal(signal.SIGKILL)
    assert read(fork)[0] == -signal.SIGKILL


def test_forks_end_with_their_server(tmp_path: Path) -> None:
    server = ForkServer(RFCTL)
    fork = start(server, tmp_path, "serve", RFCTL_REDIS__URL="redis://127.0.0.1:1/0", RFCTL_HTTP__PORT="0")
    server.close()
    wait_until(lambda: not Path(f"/proc/{fork.pid}").exists())
    with pytest.raises(AssertionError, match="the process that forks has ended"):
        read(fork)


@pytest.mark.parametrize("variable", ["PYTHONUTF8", "LD_PRELOAD", "LC_ALL", "FORCE_COLOR"])
def test_command_whose_python_would_start_otherwise_is_not_forked(tmp_path: Path, variable: str) -> None:
    server = ForkServer(RFCTL)
    assert not server.can_run([RFCTL], environment(tmp_path, **{variable: "1"}), {})


def test_what_a_fork_cannot_be_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_FORK", raising=False)
    variables, server = environment(tmp_path), ForkServer(RFCTL)
    monkeypatch.setattr("tests.support.processes.FORK_SERVER", server)
    assert not server.can_run(["bash", "-c", RFCTL], variables, {})
    assert not server.can_run([RFCTL], variables, {"preexec_fn": print})
    monkeypatch.setenv("TEST_FORK", "0")
    with Process([RFCTL, "--version"], variables) as process:
        assert isinstance(process.process, subprocess.Popen)
        assert process.wait() == 0
