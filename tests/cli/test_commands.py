"""The installed command as an operator runs it, against a real server and a real daemon process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from tests.support.processes import RFCTL, Daemon, Process, environment, rfctl, run
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import PATIENCE_S, wait_until

PHONE = "79001234567"
QUICK = {"RFCTL_BATCHING__QUIET_MS": "300", "RFCTL_BATCHING__MAX_WAIT_MS": "5000"}


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


def test_operator_sees_and_flushes_a_batch(patient: Daemon, url: str, tmp_path: Path) -> None:
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
    assert data["daemons"][0]["pid"] == daemon.pid
    shown = rfctl(tmp_path, "inspect", "+7 900 123-45-67", "--redis", url)
    assert "second" in shown.stdout
    assert "5 min 0 s of silence" in shown.stdout
    past = rfctl(tmp_path, "flush", PHONE, "--redis", url, "--json")
    assert json.loads(past.stdout)["count"] == 1
    assert rfctl(tmp_path, "inspect", PHONE, "--redis", url).returncode == 3
    assert rfctl(tmp_path, "flush", PHONE, "--redis", url).returncode == 3


def test_tail_shows_past_and_live_events(daemon: Daemon, url: str, tmp_path: Path) -> None:
    daemon.post({"from": PHONE, "message": "\x1b[31mone"})
    rfctl(tmp_path, "flush", PHONE, "--redis", url)
    line = [RFCTL, "tail", PHONE, "--since", "10m", "--redis", url]
    with Process(line, environment(tmp_path)) as tail:
        came = [tail.stdout.read_line(), tail.stdout.read_line()]
        assert "--> " + PHONE in came[0]
        assert "\\x1b[31mone" in came[0]
        assert "<-- " + PHONE in came[1]
        assert "(flush" in came[1]
        wait_until(lambda: is_followed(url))
        daemon.post({"from": "other", "message": "x"})
        daemon.post({"from": PHONE, "message": "two"})
        live = tail.stdout.read_line()
        assert "two" in live
        assert "1 pending, due in 5 min 0 s" in live
        assert tail.end(signal.SIGINT) == 0


def test_tail_into_head_is_a_clean_end(daemon: Daemon, url: str, tmp_path: Path) -> None:
    daemon.post({"messages": [{"from": PHONE, "body": str(i)} for i in range(20)]})
    line = f"{RFCTL} tail --since 10m --redis {url} | head -n 1; echo ${{PIPESTATUS[0]}}"
    with Process(["bash", "-c", line], environment(tmp_path)) as process:
        wait_until(
            lambda: is_followed(url) or not process.runs
        )  # it may have ended at the second line already
        daemon.post({"from": PHONE, "message": "wakes the writer"})
        process.wait()
        errors = process.stderr.read_all()
        assert process.stdout.read_all().splitlines()[-1] == "0"
    assert "Traceback" not in errors
    assert "Error" not in errors


def test_flush_all_asks_first(patient: Daemon, url: str, tmp_path: Path) -> None:
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
def test_simulate_checks_the_daemon_against_its_settings(url: str, tmp_path: Path, via: str) -> None:
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
        assert all(batch["simulated"] for batch in data["merged"])
        bad = rfctl(tmp_path, *line, "--expect-batches", "4")
        assert bad.returncode == 1
        assert "4 batches were expected, 3 were handed over" in bad.stdout
        assert rfctl(tmp_path, "simulate", "--scenario", "overflow", "--redis", url).returncode == 0
    finally:
        daemon.end()


def test_simulate_without_a_daemon_says_so_and_leaves_nothing(url: str, tmp_path: Path) -> None:
    result = rfctl(tmp_path, "simulate", "--redis", url)
    assert result.returncode == 69
    assert "no processor is alive" in result.stderr
    assert "rfctl serve" in result.stderr
    with redis.Redis.from_url(url) as client:
        assert client.dbsize() == 0


@contextlib.contextmanager
def _silent() -> Iterator[int]:
    """A port whose server takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextlib.contextmanager
def _impolite() -> Iterator[int]:
    """A port whose server speaks HTTP."""
    with socketserver.TCPServer(("127.0.0.1", 0), _AnswerBadRequest) as impolite:
        thread = threading.Thread(target=impolite.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield impolite.server_address[1]
        finally:
            impolite.shutdown()
            thread.join(PATIENCE_S)


class _AnswerBadRequest(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(PATIENCE_S)
        self.request.recv(100)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def is_followed(url: str) -> bool:
    """Say whether a command follows the events of shard 0 by now."""
    with redis.Redis.from_url(url) as client:
        return bool(dict(client.pubsub_numsub("rfctl:events:0"))[b"rfctl:events:0"] == 1)


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def test_broken_redis_is_named_with_its_own_status(
    tmp_path: Path, own_server: ServerMaker, opened: contextlib.ExitStack
) -> None:
    locked = own_server("--requirepass", "right")
    silent, impolite = opened.enter_context(_silent()), opened.enter_context(_impolite())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()[1]
    cases = [
        (f"redis://127.0.0.1:{nobody}/0", 69, "cannot be reached"),
        (f"redis://127.0.0.1:{silent}/0", 69, "does not answer within 2000 ms"),
        (f"redis://127.0.0.1:{impolite}/0", 69, "not a Redis"),
        (f"redis://:wrong@127.0.0.1:{locked.port}/0", 77, "refused us"),
        (f"redis://127.0.0.1:{locked.port}/0", 77, "refused us"),
    ]
    for url, status, says in cases:
        result = rfctl(tmp_path, "stats", RFCTL_REDIS__URL=url)
        assert (result.returncode, says in result.stderr) == (status, True), result.stderr
        assert "set by: variable RFCTL_REDIS__URL" in result.stderr
        assert "wrong@" not in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""


def test_redis_url_of_the_environment_is_ignored_with_a_notice(
    daemon: Daemon, url: str, tmp_path: Path
) -> None:
    result = rfctl(tmp_path, "stats", RFCTL_REDIS__URL=url, REDIS_URL="redis://127.0.0.1:1/0")
    assert result.returncode == 0
    assert "REDIS_URL is set to redis://127.0.0.1:1/0 and not used" in result.stderr
    assert url in result.stdout


def test_an_evicting_redis_stops_serve_with_78(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server("--maxmemory-policy", "allkeys-lru")
    result = rfctl(tmp_path, "serve", "--port", "0", RFCTL_REDIS__URL=server.url)
    assert result.returncode == 78
    assert "maxmemory-policy is allkeys-lru" in result.stderr
    assert "CONFIG SET maxmemory-policy noeviction" in result.stderr


def test_serve_warns_when_aof_is_off_and_names_its_redis(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server(appendonly="no")
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url)
    assert daemon.end() == 0
    assert "appendonly" in daemon.find_event("persistence_disabled")["next"]
    assert server.url in daemon.find_event("redis_connected")["redis"]
    assert daemon.find_event("redis_connected")["set_by"] == "variable RFCTL_REDIS__URL"


def test_wrong_settings_are_reported_together_with_78(tmp_path: Path) -> None:
    result = rfctl(tmp_path, "config", "check", RFCTL_HTTP__PORT="x", RFCTL_BATCHING__QUIET="1")
    assert result.returncode == 78
    assert "2 settings are wrong" in result.stderr
    assert "did you mean batching.quiet_ms?" in result.stderr


def test_config_tells_who_set_what(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    written = rfctl(tmp_path, "config", "init", "--config", str(file))
    assert written.stdout.strip() == str(file)
    assert rfctl(tmp_path, "config", "init", "--config", str(file)).returncode == 2
    file.write_text(file.read_text().replace("# quiet_ms = 5000", "quiet_ms = 4000"))
    shown = rfctl(
        tmp_path, "config", "show", "-o", "json", "--config", str(file), RFCTL_BATCHING__QUIET_MS="3000"
    )
    [quiet] = [row for row in json.loads(shown.stdout) if row["name"] == "batching.quiet_ms"]
    assert quiet["value"] == 3000
    assert quiet["set_by"] == "variable RFCTL_BATCHING__QUIET_MS"
    assert quiet["overrides"][0].startswith("4000 (")
    explained = rfctl(tmp_path, "config", "explain", "http.admin_token", RFCTL_HTTP__ADMIN_TOKEN="hush")
    assert "RFCTL_HTTP__ADMIN_TOKEN" in explained.stdout
    assert "hush" not in explained.stdout
    assert rfctl(tmp_path, "config", "explain", "http.tokens").returncode == 3
    assert str(tmp_path) in rfctl(tmp_path, "config", "path").stdout
    assert rfctl(tmp_path, "config", "check", "--config", str(tmp_path / "no")).returncode == 78


def test_version_and_help_and_usage(tmp_path: Path) -> None:
    assert rfctl(tmp_path, "--version").stdout.startswith("rfctl ")
    assert "Examples" in rfctl(tmp_path, "stats", "--help").stdout
    assert rfctl(tmp_path, "nonsense").returncode == 2
    assert rfctl(tmp_path, "tail", "--since", "soon").returncode == 2


def test_sigterm_hands_over_and_exits_0(url: str, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=url)
    daemon.post({"from": PHONE, "message": "x"})
    assert daemon.end() == 0
    assert daemon.find_event("daemon_stopped")["handed_over"] == 1
    assert "drain_incomplete" not in {line["event"] for line in daemon.lines}
    assert PHONE not in json.dumps(daemon.lines)


def test_sigterm_right_after_the_start_is_obeyed(url: str, tmp_path: Path) -> None:
    for _ in range(3):
        assert Daemon(tmp_path, RFCTL_REDIS__URL=url).end() == 0


def test_second_signal_ends_the_daemon_without_its_drain_and_loses_nothing(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_REDIS__TIMEOUT_MS="60000")
    daemon.post({"from": PHONE, "message": "kept"})
    server.send_signal(signal.SIGSTOP)  # the last hand-over hangs, for longer than the test waits
    daemon.send_signal(signal.SIGTERM)
    daemon.wait_for_event("daemon_stopping")
    assert daemon.end(signal.SIGINT) == 130
    assert "drain_incomplete" not in {line["event"] for line in daemon.lines}
    server.send_signal(signal.SIGCONT)
    stats = json.loads(rfctl(tmp_path, "stats", "--json", "--redis", server.url).stdout)
    kept = stats["pending"]["messages"] + stats["totals"].get("messages_out", 0)
    assert kept == stats["totals"]["messages_in"] == 1


def test_outage_of_redis_is_logged_once_and_its_end_once(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_DAEMON__MAX_SLEEP_MS="50")
    server.kill()
    daemon.wait_for_event("redis_unavailable")
    server.start()
    daemon.wait_for_event("redis_recovered")
    assert daemon.end() == 0
    events = [line["event"] for line in daemon.lines]
    assert events.count("redis_unavailable") == 1
    assert events.count("redis_recovered") == 1


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_embedded_store_ends_with_its_daemon_and_keeps_its_data(tmp_path: Path, number: int) -> None:
    variables: dict[str, Any] = {
        "RFCTL_DAEMON__DRAIN": "due",
        "RFCTL_REDIS__EMBEDDED_DIR": str(tmp_path / "state"),
    }
    daemon = Daemon(tmp_path, "--embedded", **variables)
    pid = daemon.find_event("embedded_server_started")["pid"]
    daemon.post({"from": PHONE, "message": "kept"})
    assert "kept" in rfctl(tmp_path, "inspect", PHONE, "--embedded", **variables).stdout
    second = rfctl(tmp_path, "serve", "--embedded", "--port", "0", **variables)
    assert second.returncode == 69
    assert "another daemon runs the embedded server" in second.stderr
    daemon.end(number)
    wait_until(lambda: not _alive(pid))
    gone = rfctl(tmp_path, "inspect", PHONE, "--embedded", **variables)
    assert gone.returncode == 69
    assert "no embedded server is running" in gone.stderr
    again = Daemon(tmp_path, "--embedded", **variables)
    try:
        stats = json.loads(rfctl(tmp_path, "stats", "--json", "--embedded", **variables).stdout)
        assert stats["totals"]["messages_in"] == 1
        assert stats["pending"]["messages"] + stats["totals"].get("messages_out", 0) == 1
    finally:
        again.end()


def test_a_daemon_killed_between_messages_loses_none(url: str, tmp_path: Path) -> None:
    sent = 0
    for _ in range(3):
        daemon = Daemon(tmp_path, RFCTL_REDIS__URL=url, **QUICK)
        for _ in range(20):
            daemon.post({"from": f"p{sent % 7}", "message": str(sent), "messageId": str(sent)})
            sent += 1
        daemon.end(signal.SIGKILL)

    def read_stats() -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(rfctl(tmp_path, "stats", "--json", "--redis", url).stdout))

    with Daemon(tmp_path, RFCTL_REDIS__URL=url, **QUICK) as last:
        wait_until(lambda: not read_stats()["pending"]["messages"])
        last.end()
    totals = read_stats()["totals"]
    assert totals["messages_in"] == totals["messages_out"] == sent


def test_the_demo_ends_by_itself_with_nothing_lost(tmp_path: Path) -> None:
    result = rfctl(tmp_path, "demo", timeout=3 * PATIENCE_S)
    assert result.returncode == 0, result.stderr
    assert "18 messages in, 4 merged messages out, 0 lost" in result.stdout
    assert "<-- anna    4 as one, silent for 5.0 s: Привет, запишите меня на стрижку\n" in result.stdout
    assert "<-- chiara  10 as one, full: photo 1 photo 2" in result.stdout
    assert "curl http" in result.stdout


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian's systemd)"
)
def test_the_units_are_clean_and_hardened(tmp_path: Path) -> None:
    """Each as it is printed, and with the drop-in, which systemd 252 knows nothing of."""
    lines = {
        "rfctl.service": ["unit"], "rfctl@.service": ["unit", "--template"],
        "rfctl.socket": ["socket"], "rfctl@.socket": ["socket", "--template"],
    }  # fmt: skip
    for name, line in lines.items():
        (tmp_path / name).write_text(rfctl(tmp_path, "export", *line).stdout)
    units = [tmp_path / name.replace("@", "@shop") for name in lines]
    verify = run(["systemd-analyze", "verify", "--man=no", *map(str, units)], os.environ)
    complaints = [line for line in verify.stderr.splitlines() if "rfctl" in line]
    assert (verify.returncode, complaints) == (0, []), verify.stderr
    for name in ("rfctl.service", "rfctl@.service"):
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=13", str(tmp_path / name)]
        security = run(command, os.environ)
        assert security.returncode == 0, security.stdout[-400:]


def test_what_else_systemd_reads_is_printed(tmp_path: Path) -> None:
    drop_in = rfctl(tmp_path, "export", "unit", "--notify-reload").stdout
    assert [line for line in drop_in.splitlines() if not line.startswith("#")] == [
        "[Service]", "Type=notify-reload", "ExecReload=",
    ]  # fmt: skip
    assert "\nd /run/rfctl 0755 rfctl rfctl -\n" in rfctl(tmp_path, "export", "tmpfiles").stdout
    refused = rfctl(tmp_path, "export", "unit", "--template", "--notify-reload")
    assert (refused.returncode, "two files" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("settings", "words", "code"),
    [
        (
            {"RFCTL_SINKS__BOT__TYPE": "list", "RFCTL_SINKS__BOT__KEY": "bot:{company}"},
            "has {company}",
            "company_unset",
        ),
        ({"RFCTL_HTTP__ADMIN_TOKEN": "hush"}, "http.admin_token has fewer than 16 characters", "token_short"),
    ],
)
def test_what_is_worth_a_look_is_noted_where_somebody_looks_at_the_settings(
    server: RedisServer, tmp_path: Path, settings: dict[str, str], words: str, code: str
) -> None:
    """And doctor has a finding. A command that is about something else says nothing of it."""
    variables: dict[str, Any] = {"RFCTL_REDIS__URL": server.url, **settings}
    noted = {
        " ".join(line): words in rfctl(tmp_path, *line, **variables).stderr
        for line in (
            ["config", "check"], ["config", "show"], ["config", "explain", "redis.url"], ["config", "explain", "sources.generic"],
            ["stats"], ["held"], ["inspect", PHONE], ["export", "acl"],
        )
    }  # fmt: skip
    assert noted == {line: line.startswith("config") for line in noted}
    assert code in rfctl(tmp_path, "-o", "json", "doctor", **variables).stdout
