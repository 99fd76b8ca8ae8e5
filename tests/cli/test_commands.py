"""The installed command as an operator runs it, against a real server and a real daemon process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from rfctl.sources.generic.node_form import BATCHED
from tests.conftest import RFCTL, environment, rfctl
from tests.support.servers import RedisServer

PHONE = "79001234567"
QUICK = {"RFCTL_BATCHING__QUIET_MS": "300", "RFCTL_BATCHING__MAX_WAIT_MS": "5000"}


class Daemon:
    def __init__(self, tmp_path: Path, *line: str, stdout: Any = None, **variables: str) -> None:
        self.tmp_path = tmp_path
        self.lines: list[dict] = []
        self.ready = threading.Event()
        self.process = subprocess.Popen(
            [RFCTL, "serve", "--port", "0", *line],
            env=environment(tmp_path, **variables),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.ready.wait(15), self.lines
        self.url = self.said("daemon_started")["listener"]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == "daemon_started":
                self.ready.set()

    def said(self, event: str) -> dict:
        return next(line for line in self.lines if line["event"] == event)

    def post(self, body: dict) -> dict:
        request = urllib.request.Request(
            self.url + BATCHED, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            return json.load(answer)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=10)
        self.reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url


@pytest.fixture
def daemon(url: str, tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(tmp_path, RFCTL_REDIS__URL=url)
    yield started
    started.end()


@pytest.fixture
def patient(url: str, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose batches stay while a test looks at them, however slow the machine is."""
    started = Daemon(
        tmp_path,
        RFCTL_REDIS__URL=url,
        RFCTL_BATCHING__QUIET_MS="300000",
        RFCTL_BATCHING__MAX_WAIT_MS="600000",
    )
    yield started
    started.end()


def test_an_operator_sees_follows_and_flushes(patient: Daemon, url: str, tmp_path: Path):
    daemon = patient
    daemon.post({"from": PHONE, "message": "[bold]Привет[/x],\x1b[2J", "companyId": 7})
    daemon.post({"from": PHONE, "message": "second"})  # of no company: the first leaves
    seen = rfctl(tmp_path, "stats", "--redis", url)
    assert seen.returncode == 0, seen.stderr
    for wanted in (url, "flag --redis", "1 batch, 1 message", PHONE, daemon.url, "company 1"):
        assert wanted in seen.stdout
    assert "\x1b" not in seen.stdout
    data = json.loads(rfctl(tmp_path, "-o", "json", "stats", "--redis", url).stdout)
    assert data["pending"]["batches"] == 1
    assert data["daemons"][0]["pid"] == daemon.process.pid
    shown = rfctl(tmp_path, "inspect", "+7 900 123-45-67", "--redis", url)
    assert "second" in shown.stdout
    assert "5 min 0 s of silence" in shown.stdout
    past = rfctl(tmp_path, "flush", PHONE, "--redis", url, "--json")
    assert json.loads(past.stdout)["count"] == 1
    assert rfctl(tmp_path, "inspect", PHONE, "--redis", url).returncode == 3
    assert rfctl(tmp_path, "flush", PHONE, "--redis", url).returncode == 3


def test_tail_shows_what_was_and_what_is(daemon: Daemon, url: str, tmp_path: Path):
    daemon.post({"from": PHONE, "message": "\x1b[31mone"})
    rfctl(tmp_path, "flush", PHONE, "--redis", url)
    tail = subprocess.Popen(
        [RFCTL, "tail", PHONE, "--since", "10m", "--redis", url],
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert tail.stdout is not None
    came = [tail.stdout.readline(), tail.stdout.readline()]
    assert "--> " + PHONE in came[0]
    assert "\\x1b[31mone" in came[0]
    assert "<-- " + PHONE in came[1]
    assert "(flush)" in came[1]
    time.sleep(0.5)
    daemon.post({"from": "other", "message": "x"})
    daemon.post({"from": PHONE, "message": "two"})
    live = tail.stdout.readline()
    assert "two" in live
    assert "1 pending, due in 5.0 s" in live
    tail.send_signal(signal.SIGINT)
    assert tail.wait(5) == 0
    tail.stdout.close()


def test_tail_into_head_is_a_clean_end(daemon: Daemon, url: str, tmp_path: Path):
    daemon.post({"messages": [{"from": PHONE, "body": str(i)} for i in range(20)]})
    line = f"{RFCTL} tail --since 10m --redis {url} | head -n 1; echo ${{PIPESTATUS[0]}}"
    process = subprocess.Popen(
        ["bash", "-c", line],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.5)
    daemon.post({"from": PHONE, "message": "wakes the writer"})
    out, err = process.communicate(timeout=10)
    assert out.splitlines()[-1] == "0"
    assert "Traceback" not in err
    assert "Error" not in err


def test_flush_all_asks_first(patient: Daemon, url: str, tmp_path: Path):
    daemon = patient
    for i in range(3):
        daemon.post({"from": f"p {i}", "message": "x"})
    asked = rfctl(tmp_path, "flush", "--all", "--redis", url)
    assert asked.returncode == 2
    assert "add --yes" in asked.stderr
    discarded = rfctl(tmp_path, "discard", "p 0", "--redis", url)
    assert discarded.returncode == 0
    assert "x" in discarded.stdout
    assert "2 batches handed over" in rfctl(tmp_path, "flush", "--all", "--yes", "--redis", url).stdout
    daemon.post({"from": "p 9", "message": "y"})
    assert "1 batch discarded" in rfctl(tmp_path, "discard", "--all", "--yes", "--redis", url).stdout
    assert rfctl(tmp_path, "flush", "--redis", url).returncode == 2


@pytest.mark.parametrize("via", ["webhook", "redis"])
def test_simulate_holds_the_daemon_to_its_settings(url: str, tmp_path: Path, via: str):
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=url, **QUICK)
    try:
        line = (
            "simulate",
            "--count",
            "5",
            "--interval",
            "0.02",
            "--phones",
            "3",
            "--via",
            via,
            "--redis",
            url,
        )
        good = rfctl(tmp_path, *line, "--expect-batches", "3", "-o", "json")
        assert good.returncode == 0, good.stdout + good.stderr
        data = json.loads(good.stdout)
        assert (data["ok"], data["sent"], data["received"], data["batches"]) == (True, 15, 15, 3)
        assert all(one["simulated"] for one in data["merged"])
        bad = rfctl(tmp_path, *line, "--expect-batches", "4")
        assert bad.returncode == 1
        assert "4 batches were expected, 3 came out" in bad.stdout
        assert rfctl(tmp_path, "simulate", "--scenario", "overflow", "--redis", url).returncode == 0
    finally:
        daemon.end()


def test_simulate_without_a_daemon_says_so_and_leaves_nothing(url: str, tmp_path: Path):
    result = rfctl(tmp_path, "simulate", "--redis", url)
    assert result.returncode == 69
    assert "no processor is alive" in result.stderr
    assert "rfctl serve" in result.stderr
    with redis.Redis.from_url(url) as client:
        assert client.dbsize() == 0


def _silent() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def _impolite(listening: socket.socket) -> None:
    try:
        while True:
            client, _ = listening.accept()
            client.recv(100)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()
    except OSError:
        return


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def test_each_broken_redis_is_named_soon_after_the_start(
    tmp_path: Path, own_server, opened: contextlib.ExitStack
):
    good = own_server()
    began = time.monotonic()
    rfctl(tmp_path, "stats", RFCTL_REDIS__URL=good.url)
    start_s = time.monotonic() - began  # of a process, on this machine with all that runs on it now
    locked = own_server("--requirepass", "right")
    silent, impolite = (opened.enter_context(_silent()) for _ in range(2))
    threading.Thread(target=_impolite, args=(impolite,), daemon=True).start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()[1]
    cases = [
        (f"redis://127.0.0.1:{nobody}/0", 69, "cannot be reached"),
        (f"redis://127.0.0.1:{silent.getsockname()[1]}/0", 69, "does not answer within"),
        (f"redis://127.0.0.1:{impolite.getsockname()[1]}/0", 69, "not a Redis"),
        (f"redis://:wrong@127.0.0.1:{locked.port}/0", 77, "refused us"),
        (f"redis://127.0.0.1:{locked.port}/0", 77, "refused us"),
    ]
    for url, status, says in cases:
        began = time.monotonic()
        result = rfctl(tmp_path, "stats", RFCTL_REDIS__URL=url)
        assert time.monotonic() - began < 2 * start_s + 2.5, url
        assert (result.returncode, says in result.stderr) == (status, True), result.stderr
        assert "set by: variable RFCTL_REDIS__URL" in result.stderr
        assert "wrong@" not in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""


def test_another_redis_in_redis_url_is_not_used_and_that_is_said(daemon: Daemon, url: str, tmp_path: Path):
    result = rfctl(tmp_path, "stats", RFCTL_REDIS__URL=url, REDIS_URL="redis://127.0.0.1:1/0")
    assert result.returncode == 0
    assert "REDIS_URL is set to redis://127.0.0.1:1/0 and not used" in result.stderr
    assert url in result.stdout


def test_an_evicting_redis_stops_serve_with_78(own_server, tmp_path: Path):
    server = own_server("--maxmemory-policy", "volatile-lru")
    result = rfctl(tmp_path, "serve", "--port", "0", RFCTL_REDIS__URL=server.url)
    assert result.returncode == 78
    assert "maxmemory-policy is volatile-lru" in result.stderr
    assert "CONFIG SET maxmemory-policy noeviction" in result.stderr


def test_serve_warns_when_aof_is_off_and_names_its_redis(own_server, tmp_path: Path):
    server = own_server(appendonly="no")
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url)
    assert daemon.end() == 0
    assert "appendonly" in daemon.said("persistence_disabled")["next"]
    assert server.url in daemon.said("redis_connected")["redis"]
    assert daemon.said("redis_connected")["set_by"] == "variable RFCTL_REDIS__URL"


def test_wrong_settings_are_all_said_with_78(tmp_path: Path):
    result = rfctl(tmp_path, "config", "check", RFCTL_HTTP__PORT="x", RFCTL_BATCHING__QUIET="1")
    assert result.returncode == 78
    assert "2 settings are wrong" in result.stderr
    assert "did you mean batching.quiet_ms?" in result.stderr


def test_config_tells_who_set_what(tmp_path: Path):
    file = tmp_path / "c.toml"
    written = rfctl(tmp_path, "config", "init", "--config", str(file))
    assert written.stdout.strip() == str(file)
    assert rfctl(tmp_path, "config", "init", "--config", str(file)).returncode == 2
    file.write_text(file.read_text().replace("# quiet_ms = 5000", "quiet_ms = 4000"))
    shown = rfctl(
        tmp_path, "config", "show", "-o", "json", "--config", str(file), RFCTL_BATCHING__QUIET_MS="3000"
    )
    [quiet] = [one for one in json.loads(shown.stdout) if one["name"] == "batching.quiet_ms"]
    assert quiet["value"] == 3000
    assert quiet["set_by"] == "variable RFCTL_BATCHING__QUIET_MS"
    assert quiet["overrides"][0].startswith("4000 (")
    explained = rfctl(tmp_path, "config", "explain", "http.admin_token", RFCTL_HTTP__ADMIN_TOKEN="hush")
    assert "RFCTL_HTTP__ADMIN_TOKEN" in explained.stdout
    assert "hush" not in explained.stdout
    assert rfctl(tmp_path, "config", "explain", "http.tokens").returncode == 3
    assert str(tmp_path) in rfctl(tmp_path, "config", "path").stdout
    assert rfctl(tmp_path, "config", "check", "--config", str(tmp_path / "no")).returncode == 78


def test_version_and_help_and_usage(tmp_path: Path):
    assert rfctl(tmp_path, "--version").stdout.startswith("rfctl ")
    assert "Examples" in rfctl(tmp_path, "stats", "--help").stdout
    assert rfctl(tmp_path, "nonsense").returncode == 2
    assert rfctl(tmp_path, "tail", "--since", "soon").returncode == 2


def test_sigterm_hands_over_and_exits_0_within_5_seconds(url: str, tmp_path: Path):
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=url)
    daemon.post({"from": PHONE, "message": "x"})
    began = time.monotonic()
    assert daemon.end() == 0
    assert time.monotonic() - began < 5
    assert daemon.said("daemon_stopped")["handed_over"] == 1
    assert PHONE not in json.dumps(daemon.lines)


def test_sigterm_right_after_the_start_is_obeyed(url: str, tmp_path: Path):
    for _ in range(3):
        assert Daemon(tmp_path, RFCTL_REDIS__URL=url).end() == 0


def test_a_second_signal_ends_it_at_once_and_nothing_is_lost(own_server, tmp_path: Path):
    server = own_server()
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_REDIS__TIMEOUT_MS="5000")
    daemon.post({"from": PHONE, "message": "kept"})
    server.process.send_signal(signal.SIGSTOP)  # the last hand-over hangs
    daemon.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    began = time.monotonic()
    assert daemon.end(signal.SIGINT) == 130
    assert time.monotonic() - began < 4, "it would have waited for Redis for 5 s"
    server.process.send_signal(signal.SIGCONT)
    stats = json.loads(rfctl(tmp_path, "stats", "--json", "--redis", server.url).stdout)
    kept = stats["pending"]["messages"] + stats["totals"].get("messages_out", 0)
    assert kept == stats["totals"]["messages_in"] == 1


def test_redis_that_goes_and_comes_is_said_once_each(own_server, tmp_path: Path):
    server = own_server()
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_DAEMON__MAX_SLEEP_MS="50")
    server.kill()
    time.sleep(1.5)
    server.start()
    time.sleep(2.5)
    assert daemon.end() == 0
    said = [line["event"] for line in daemon.lines]
    assert said.count("redis_unavailable") == 1
    assert said.count("redis_recovered") == 1


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_embedded_store_ends_with_its_daemon_and_keeps_its_data(tmp_path: Path, number: int):
    variables: dict[str, Any] = {
        "RFCTL_DAEMON__DRAIN": "due",
        "RFCTL_REDIS__EMBEDDED_DIR": str(tmp_path / "state"),
    }
    daemon = Daemon(tmp_path, "--embedded", **variables)
    pid = daemon.said("embedded_server_started")["pid"]
    daemon.post({"from": PHONE, "message": "kept"})
    assert "kept" in rfctl(tmp_path, "inspect", PHONE, "--embedded", **variables).stdout
    second = rfctl(tmp_path, "serve", "--embedded", "--port", "0", **variables)
    assert second.returncode == 69
    assert "another daemon runs the embedded store" in second.stderr
    daemon.end(number)
    deadline = time.monotonic() + 5
    while _alive(pid):
        assert time.monotonic() < deadline, "the store outlived its daemon"
        time.sleep(0.02)
    gone = rfctl(tmp_path, "inspect", PHONE, "--embedded", **variables)
    assert gone.returncode == 69
    assert "no embedded store is running" in gone.stderr
    again = Daemon(tmp_path, "--embedded", **variables)
    try:
        stats = json.loads(rfctl(tmp_path, "stats", "--json", "--embedded", **variables).stdout)
        assert stats["totals"]["messages_in"] == 1
        assert stats["pending"]["messages"] + stats["totals"].get("messages_out", 0) == 1
    finally:
        again.end()


def test_a_daemon_killed_between_messages_loses_none(url: str, tmp_path: Path):
    sent = 0
    for _ in range(3):
        daemon = Daemon(tmp_path, RFCTL_REDIS__URL=url, **QUICK)
        for _ in range(20):
            daemon.post({"from": f"p{sent % 7}", "message": str(sent), "messageId": str(sent)})
            sent += 1
        daemon.end(signal.SIGKILL)
    last = Daemon(tmp_path, RFCTL_REDIS__URL=url, **QUICK)
    time.sleep(0.6)
    last.end()
    stats = json.loads(rfctl(tmp_path, "stats", "--json", "--redis", url).stdout)
    assert stats["totals"]["messages_in"] == stats["totals"]["messages_out"] == sent
    assert stats["pending"]["messages"] == 0


def test_the_demo_ends_by_itself_with_nothing_lost(tmp_path: Path):
    began = time.monotonic()
    result = rfctl(tmp_path, "demo", timeout=40)
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < 30
    assert "23 messages in, 6 merged messages out, 0 lost" in result.stdout
    assert "Привет, запишите меня на стрижку" in result.stdout
    assert "curl http" in result.stdout


def test_the_demo_stays_with_keep_until_ctrl_c(tmp_path: Path):
    process = subprocess.Popen(
        [RFCTL, "demo", "--keep"],
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while "curl http" not in (line := process.stdout.readline()):
        assert line, "it ended too early"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.skipif(
    not os.environ.get("TEST_REDIS_SERVERS") and not Path("/usr/bin/systemd-analyze").exists(),
    reason="no systemd-analyze",
)
def test_the_unit_is_clean_and_hardened(tmp_path: Path):
    unit = tmp_path / "rfctl.service"
    unit.write_text(rfctl(tmp_path, "export", "unit").stdout)
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in verify.stderr.splitlines() if "rfctl.service" in line]
    assert (verify.returncode, complaints) == (0, []), verify.stderr
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    security = subprocess.run(command, capture_output=True, text=True, check=False)
    assert security.returncode == 0, security.stdout[-400:]
