"""What the tests lean on: their waits end, their processes end, and leftovers are found."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.leftovers import delete_folders_of_killed_runs, find_processes, leaving_nothing
from tests.support.processes import Process, killing_what_runs, run
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import PATIENCE_S, come_to_an_end, until, wait_until

ROOT = Path(__file__).parents[2]
SOON_S = 0.05
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


def python(program: str) -> Process:
    return Process([sys.executable, "-c", program], os.environ)


def exists(pid: int) -> bool:
    """Say whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_condition_that_stays_false_fails_in_words() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0 s: .*lambda"):
        wait_until(lambda: False, SOON_S)


async def test_condition_that_blocks_fails_in_words() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0 s: .*lambda"):
        await until(lambda: asyncio.sleep(600), SOON_S)


async def test_work_without_an_end_fails_in_words_and_is_cancelled() -> None:
    endless = asyncio.create_task(asyncio.sleep(600))
    with pytest.raises(AssertionError, match=r"no end within 0 s: .*sleep"):
        await come_to_an_end(endless, asyncio.sleep(0), within_s=SOON_S)
    assert endless.cancelled()


async def test_work_that_fails_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await come_to_an_end(fail(), asyncio.sleep(0))


async def test_answer_that_counts_as_true_is_returned() -> None:
    answers = iter([0, "", "yes"])
    assert await until(lambda: next(answers)) == "yes"


def test_line_that_never_comes_fails_in_words() -> None:
    with python(DEAF) as process:
        assert process.stdout.read_line() == "deaf\n"
        with pytest.raises(AssertionError, match=r"no line within 0 s after .'deaf"):
            process.stdout.read_line(SOON_S)
        with pytest.raises(AssertionError, match=r"had 0 s without the line: .'deaf"):
            process.stdout.wait_for(lambda line: "heard" in line, SOON_S)


def test_process_that_ignores_its_signal_is_killed_and_named() -> None:
    with python(DEAF) as process:
        process.stdout.read_line()
        with pytest.raises(AssertionError, match=r"does not end within 0 s"):
            process.end(signal.SIGTERM, SOON_S)
    assert not exists(process.pid)


def test_process_that_a_test_forgets_ends_with_what_it_started() -> None:
    with killing_what_runs():
        process = Process(["bash", "-c", "sleep 600 & echo $!; wait"], os.environ)
        child = int(process.stdout.read_line())
    assert not exists(process.pid)
    wait_until(lambda: not exists(child))


def test_run_returns_status_and_both_outputs() -> None:
    done = run(["bash", "-c", "echo out; echo err >&2; exit 3"], os.environ)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_process_that_is_left_fails_the_run_and_is_ended() -> None:
    run_of_tests = leaving_nothing()
    run_of_tests.__enter__()
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    wait_until(
        lambda: process.pid in find_processes()
    )  # the kernel shows its variables a moment after its start
    with pytest.raises(AssertionError, match=r"left processes that still ran: .*sleep 600"):
        run_of_tests.__exit__(None, None, None)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL


def test_file_that_is_left_fails_the_run_and_is_deleted() -> None:
    before = tempfile.gettempdir()
    run_of_tests = leaving_nothing()
    run_of_tests.__enter__()
    file = Path(tempfile.mkdtemp()) / "forgotten"
    file.touch()
    with pytest.raises(AssertionError, match=r"left temporary files: .*forgotten"):
        run_of_tests.__exit__(None, None, None)
    assert not file.exists()
    assert tempfile.gettempdir() == before


LIVING = """
import os, time
from tests.support.processes import Process
from tests.support.servers import RedisServer

def test_lives(server, tmp_path):
    process = Process(["sleep", "600"], os.environ)
    (tmp_path.parent / "pids").write_text(f"{server.process.pid} {process.pid} ")
    time.sleep(600)
"""


@pytest.mark.real
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux)")
def test_killed_run_leaves_no_process_and_the_next_run_deletes_its_files(tmp_path: Path) -> None:
    (tmp_path / "test_living.py").write_text(LIVING)
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    base = tmp_path / "base"
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), f"--basetemp={base}"]
    with tempfile.TemporaryDirectory() as temporary:  # the path of a socket must be short
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": temporary}
        with Process([sys.executable, "-m", "pytest", *options, str(tmp_path)], variables) as killed:
            pids = base / "pids"
            wait_until(lambda: not killed.runs or (pids.is_file() and pids.read_text().endswith(" ")))
            assert killed.runs, killed.stdout.read_all()
            os.kill(killed.pid, signal.SIGKILL)
            wait_until(lambda: not any(map(exists, map(int, pids.read_text().split()))))
        assert list(Path(temporary).glob("rfctl-tests-*")), "the killed run had no folder"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(tempfile, "tempdir", temporary)
            delete_folders_of_killed_runs()
        assert not list(Path(temporary).iterdir())


def test_ports_differ() -> None:
    assert len({pick_port() for _ in range(20)}) == 20


@pytest.mark.real
def test_server_whose_port_is_taken_takes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    first = RedisServer("embedded")
    second = RedisServer("embedded")
    try:
        ports = iter([first.start().port, pick_port()])
        monkeypatch.setattr("tests.support.servers.pick_port", lambda: next(ports))
        assert second.start().port not in (0, first.port)
    finally:
        first.stop()
        second.stop()


@pytest.mark.real
def test_settings_of_a_server_are_restored() -> None:
    server = RedisServer("embedded")
    try:
        before = server.start().read_config()
        with server.client() as client:
            client.config_set("maxmemory", 1)
            client.config_set("slowlog-max-len", 7)
        server.restore_config(before)
        assert server.read_config() == before
    finally:
        server.stop()


HANGING = """
import asyncio, threading

async def test_awaits():
    await asyncio.Event().wait()

def test_joins_a_thread():
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    thread.join()

def test_goes_on():
    pass
"""


def test_test_that_hangs_fails_in_words_and_the_next_one_runs(tmp_path: Path) -> None:
    file = tmp_path / "test_hanging.py"
    file.write_text(HANGING)
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-o", "timeout=1", "-rf"]
    done = run([sys.executable, "-m", "pytest", *options, str(file)], os.environ)
    assert "2 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("Failed: Timeout (>1.0s) from pytest-timeout") >= 2
