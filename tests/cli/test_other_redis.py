"""A shell that looks at another Redis than the daemon beside it, or at other settings, says so in one line."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Daemon, rfctl
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import wait_until

NOTE = "the daemon on this host (pid "


@pytest.fixture
def runtime(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return {"XDG_RUNTIME_DIR": str(folder)}


def files(runtime: dict[str, Any]) -> list[Path]:
    return list(Path(runtime["XDG_RUNTIME_DIR"]).glob("rfctl/daemon-*.json"))


def test_command_that_reaches_another_redis_than_the_daemon_says_so(
    tmp_path: Path, server: RedisServer, runtime: dict[str, Any]
) -> None:
    with Daemon(tmp_path, "--redis", server.url, **runtime) as daemon:
        wait_until(lambda: files(runtime))
        [file] = files(runtime)
        assert file.stat().st_mode & 0o777 == 0o644
        facts = json.loads(file.read_bytes())
        assert (facts["pid"], facts["db"], len(facts["run_id"])) == (daemon.pid, 0, 40)
        other_spelling = server.url.replace("127.0.0.1", "localhost")
        same = rfctl(tmp_path, "stats", "--redis", other_spelling, **runtime)
        assert NOTE not in same.stderr
        other = rfctl(tmp_path, "stats", "--json", "--redis", f"{server.url[:-1]}3", **runtime)
        assert other.returncode == 0
        json.loads(other.stdout)
        [line] = [line for line in other.stderr.splitlines() if NOTE in line]
        assert f"{server.url[:-1]}3 (set by flag --redis), but {NOTE}{daemon.pid}) uses {server.url}" in line
        nobody = rfctl(tmp_path, "stats", "--redis", f"redis://127.0.0.1:{pick_port()}/0", **runtime)
        assert nobody.returncode == 69
        assert f"{NOTE}{daemon.pid}) uses {server.url}" in nobody.stderr
        assert daemon.end() == 0
    assert not files(runtime), "it goes with its daemon"


def test_file_of_a_dead_daemon_says_nothing(
    tmp_path: Path, server: RedisServer, runtime: dict[str, Any]
) -> None:
    with Daemon(tmp_path, "--redis", server.url, **runtime) as daemon:
        wait_until(lambda: files(runtime))
        daemon.end(signal.SIGKILL)
    assert files(runtime)
    assert NOTE not in rfctl(tmp_path, "stats", "--redis", f"{server.url[:-1]}3", **runtime).stderr


def test_stats_shows_what_its_address_overrides(tmp_path: Path, server: RedisServer) -> None:
    variables: dict[str, Any] = {"RFCTL_REDIS__URL": "redis://:geheim@h:1/0"}
    shown = rfctl(tmp_path, "stats", "--redis", server.url, **variables).stdout
    assert "redis://:•••@h:1/0 (variable RFCTL_REDIS__URL)" in shown
    assert "geheim" not in shown


def test_settings_that_are_not_what_runs_are_said(tmp_path: Path, server: RedisServer) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[batching]\nmax_size = 7\n")
    line = ("--config", str(file), "--redis", server.url)

    def findings() -> list[str]:
        stats = json.loads(rfctl(tmp_path, "stats", "--json", *line).stdout)
        return [finding["code"] for finding in stats["findings"]]

    def shows_other_settings() -> bool:
        # A variable that only the daemon has would rightly count: both get the same.
        return "runs on other settings" in rfctl(tmp_path, "config", "show", *line, **daemon_variables).stderr

    daemon_variables: dict[str, Any] = {
        "RFCTL_BATCHING__QUIET_MS": "300000",
        "RFCTL_BATCHING__MAX_WAIT_MS": "600000",
    }
    with Daemon(tmp_path, *line) as daemon:
        wait_until(lambda: "processor_missing" not in findings())
        assert findings() == []
        assert not shows_other_settings()
        file.write_text("[batching]\nmax_size = 8\n")
        assert findings() == ["settings_edited"]
        assert shows_other_settings()
        file.write_text("[batching]\nmax_size = 'many'\n")
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_for_event("settings_rejected")
        file.write_text("[batching]\nmax_size = 8\n")
        wait_until(lambda: findings() == ["reload_refused"])
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_for_event("settings_reloaded")
        wait_until(lambda: findings() == [])
        assert not shows_other_settings()


def test_other_number_of_shards_is_blamed_on_who_set_it(tmp_path: Path, server: RedisServer) -> None:
    with server.client() as client:
        client.set("rfctl:shards", "2/2")
    variables: dict[str, Any] = {"RFCTL_REDIS__SHARDS": "4"}
    done = rfctl(tmp_path, "stats", "--redis", server.url, **variables)
    assert done.returncode == 78
    assert "set by: variable RFCTL_REDIS__SHARDS" in done.stderr
