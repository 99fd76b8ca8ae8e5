"""The files by which a shell finds the daemons of its host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rfctl.observe.daemon_files import (
    DaemonFile,
    describe_other_redis,
    list_living_daemons,
    remove_daemon_file,
    write_daemon_file,
)
from rfctl.store.address import RedisAddress
from rfctl.store.server_info import ServerInfo

THEIRS = DaemonFile(id="a", pid=1, url="redis://:•••@h:1/3", run_id="r", db=3)
HERE = RedisAddress("redis://127.0.0.1:6379/0", "default")


def server(run_id: str = "r", db: int = 3) -> ServerInfo:
    return ServerInfo("redis://other.spelling", db, run_id, "Redis", "7", "noeviction", True, "default")


def test_file_is_readable_for_everybody_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_daemon_file(tmp_path, THEIRS)
    finally:
        os.umask(before)
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o644
    assert msgspec.json.decode(path.read_bytes(), type=DaemonFile) == THEIRS
    remove_daemon_file(tmp_path, "a")
    remove_daemon_file(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


def test_only_living_daemons_are_listed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "rfctl"], stdin=subprocess.PIPE) as living:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        for daemon_id, pid in (("living", living.pid), ("ended", ended.pid)):
            write_daemon_file(tmp_path, msgspec.structs.replace(THEIRS, id=daemon_id, pid=pid))
        (tmp_path / "daemon-later.json").write_text('{"id": 7}')
        (tmp_path / "daemon-half.json").write_text("{")
        (tmp_path / "daemon-folder.json").mkdir()
        listed = list_living_daemons([tmp_path, tmp_path / "none"])
        living.communicate(b"\n")
    assert [daemon.id for daemon in listed] == ["living"]


def test_process_that_has_the_number_of_a_dead_daemon_is_none(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        write_daemon_file(tmp_path, msgspec.structs.replace(THEIRS, pid=other.pid))
        listed = list_living_daemons([tmp_path])
        other.communicate(b"\n")
    assert listed == []


@pytest.mark.parametrize(
    ("run_id", "db", "prefix", "is_said"),
    [("r", 3, "", False), ("other", 3, "", True), ("r", 0, "", True), ("r", 3, "staging-", True)],
)
def test_another_redis_is_said_whatever_the_url(run_id: str, db: int, prefix: str, is_said: bool) -> None:
    line = describe_other_redis([THEIRS], HERE, server(run_id, db), prefix)
    assert bool(line) == is_said
    if is_said:
        assert "(set by default), but the daemon on this host (pid 1) uses redis://:•••@h:1/3" in line


def test_one_daemon_of_several_on_this_redis_is_enough() -> None:
    other = msgspec.structs.replace(THEIRS, id="b", run_id="other")
    assert describe_other_redis([other, THEIRS], HERE, server()) == ""
    assert describe_other_redis([], HERE, None) == ""
    assert "pid 1" in describe_other_redis([THEIRS], HERE, None)
