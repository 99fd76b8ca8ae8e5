"""Our units under a real systemd: they start, reload, restart without a lost webhook, and come back after every fault."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from rfctl.assembly.packaged import read_packaged
from rfctl.sources.generic.node_form import BATCHED
from tests.support.processes import send
from tests.support.real_systemd import NOTIFY_RELOAD_SINCE, RealSystemd, running_systemd
from tests.support.servers import KINDS, RedisServer, pick_port
from tests.support.waiting import PATIENCE_S
from tests.support.waiting import wait_until as wait_closely

RUNTIME = "/run/units"
MANY = 2000
"""So many webhooks are sent at most while a daemon restarts."""
wait_until = partial(wait_closely, pause_s=0.2)
"""Most questions here start a program in the other namespaces, and systemd takes seconds anyway."""


class Service:
    """`rfctl.service` in a systemd, with one Redis and one port for all tests."""

    def __init__(self, systemd: RealSystemd, server: RedisServer) -> None:
        self.systemd, self.server, self.port = systemd, server, pick_port()
        self.write_settings()

    def write_settings(self, more: str = "", quiet_ms: int = 100) -> None:
        self.systemd.write(
            "/etc/rfctl/config.toml",
            f'redis.url = "{self.server.url}"\nhttp.port = {self.port}\nbatching.quiet_ms = {quiet_ms}\n'
            f'daemon.drain = "due"\n{more}',
        )

    def drop_in(self, text: str, unit: str = "rfctl.service") -> None:
        """Give the unit these lines besides, or none."""
        path = f"{RUNTIME}/{unit}.d/test.conf"
        if text:
            self.systemd.write(path, text)
        else:
            self.systemd.remove(path)
        self.systemd.ctl("daemon-reload")

    def start(self) -> None:
        self.systemd.ctl("restart", "rfctl")

    def post(self, number: int, port: int | None = None) -> int:
        """Send a webhook on a connection of its own, and return the status of its answer."""
        body = {"from": f"7900{number:07d}", "message": "Привет", "messageId": f"m{number}"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.port}{BATCHED}", json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            return 200 if send(request) else 0
        except urllib.error.HTTPError as problem:
            return problem.code

    def count_handed_over(self) -> int:
        with self.server.client() as client:
            return int(client.xlen("rfctl:out"))

    @property
    def status(self) -> str:
        return self.systemd.show("rfctl", "StatusText")[0]

    @property
    def pid(self) -> str:
        return self.systemd.show("rfctl", "MainPID")[0]

    def wait_for_another(self, pid: str) -> None:
        """Wait until systemd has started the daemon again, and it is ready."""

        def is_another() -> bool:
            now, state = self.systemd.show("rfctl", "MainPID", "ActiveState")
            return state == "active" and now not in ("0", pid)

        wait_until(is_another)


@pytest.fixture(scope="module")
def systemd() -> Iterator[RealSystemd]:
    with running_systemd() as running:
        yield running


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer(KINDS[0])
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def service(systemd: RealSystemd, redis: RedisServer) -> Iterator[Service]:
    redis.empty()
    service = Service(systemd, redis)
    yield service
    systemd.ctl("stop", "rfctl.socket", "rfctl.service")
    service.drop_in("")
    service.drop_in("", "rfctl.socket")
    systemd.run("systemctl", "reset-failed", check=False)


def test_start_reload_and_refused_reload(service: Service) -> None:
    """The start without a credential, and with nothing to do by hand; each reload is told, whatever came of it."""
    systemd = service.systemd
    service.start()
    assert service.status == f"ready, listens on http://127.0.0.1:{service.port}"
    assert "credential" not in systemd.read_journal("rfctl")
    pid = service.pid

    service.write_settings("batching.max_size = 7\n")
    systemd.ctl("reload", "rfctl")
    wait_until(lambda: '"settings_reloaded"' in systemd.read_journal("rfctl"))
    wait_until(lambda: systemd.show("rfctl", "SubState") == ["running"])

    service.write_settings("batching.max_size = 0\n")
    systemd.ctl("reload", "rfctl")
    wait_until(lambda: "the last reload was refused, the old settings stay: " in service.status)
    assert "max_size" in service.status
    wait_until(lambda: systemd.show("rfctl", "SubState") == ["running"])
    assert service.post(1) == 200
    errors = systemd.run("journalctl", "--no-pager", "-o", "cat", "-u", "rfctl", "-p", "err").stdout
    assert '\n{"problems": ' in f"\n{errors}"
    assert '"settings_rejected"' in errors
    assert '"settings_reloaded"' not in errors

    service.write_settings()
    systemd.ctl("reload", "rfctl")
    wait_until(lambda: "refused" not in service.status)
    assert service.pid == pid


def test_reload_with_the_drop_in_ends_once_its_outcome_is_known(service: Service) -> None:
    systemd = service.systemd
    if systemd.version < NOTIFY_RELOAD_SINCE:
        pytest.skip(f"Type=notify-reload: needs systemd {NOTIFY_RELOAD_SINCE}, here is {systemd.version}")
    service.drop_in(read_packaged("notify-reload.conf"))
    service.start()
    pid, refused = service.pid, systemd.read_journal("rfctl").count('"settings_rejected"')

    service.write_settings("batching.max_size = 0\n")
    systemd.ctl("reload", "rfctl")
    assert "the last reload was refused, the old settings stay: " in service.status
    service.write_settings("batching.max_size = 7\n")
    systemd.ctl("reload", "rfctl")
    assert service.status.startswith("ready, ")
    assert systemd.show("rfctl", "Type", "SubState", "MainPID") == ["notify-reload", "running", pid]
    wait_until(lambda: '"settings_reloaded"' in systemd.read_journal("rfctl"))
    assert systemd.read_journal("rfctl").count('"settings_rejected"') == refused + 1, "one signal a reload"
    assert service.post(1) == 200


def test_refused_start_says_why_and_the_log_has_our_name(service: Service) -> None:
    """In one line of `systemctl status`, which is all that many look at."""
    systemd = service.systemd
    service.write_settings("batching.max_size = 0\n")
    assert systemd.run("systemctl", "restart", "rfctl", check=False).returncode != 0
    assert systemd.show("rfctl", "ActiveState", "ExecMainStatus") == ["failed", "78"]
    assert service.status.startswith("failed: batching.max_size: ")
    log = systemd.run("journalctl", "--no-pager", "-o", "cat", "-t", "rfctl").stdout
    assert "rfctl: 1 setting is wrong" in log
    service.write_settings()
    service.start()
    assert service.status.startswith("ready, ")


def test_credential_and_the_file_of_config_init_are_what_the_service_reads(service: Service) -> None:
    systemd = service.systemd
    systemd.remove("/etc/rfctl/config.toml")
    systemd.run("/opt/rfctl/bin/rfctl", "--config", "/etc/rfctl/config.toml", "config", "init")
    service.drop_in(f"[Service]\nEnvironment=RFCTL_HTTP__PORT={service.port}\n")
    systemd.write("/etc/rfctl/credentials/redis.url", service.server.url, 0o600)
    service.start()
    assert service.status.startswith("ready, ")
    systemd.remove("/etc/rfctl/credentials/redis.url")


def test_restart_with_the_socket_loses_no_webhook(service: Service) -> None:
    """Its address is that of the socket unit; whoever connects while the daemon is away waits."""
    systemd, port = service.systemd, pick_port()
    service.drop_in(f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n", "rfctl.socket")
    systemd.ctl("start", "rfctl.socket")
    service.start()
    assert service.status == f"ready, listens on http://127.0.0.1:{port} (rfctl.socket of systemd)"
    assert f"http.port is {port}, as rfctl.socket of systemd has it" in systemd.read_journal("rfctl")
    pid = service.pid
    with sending(lambda number: service.post(number, port)) as answers:
        wait_closely(lambda: len(answers) > 20)
        systemd.ctl("restart", "rfctl")
        before = len(answers)
        wait_closely(lambda: len(answers) > before + 20)
    assert service.pid != pid
    assert set(answers) == {200}, answers
    wait_until(lambda: service.count_handed_over() == len(answers))


@contextlib.contextmanager
def sending(post: Callable[[int], Any]) -> Iterator[list[Any]]:
    """Send webhooks one after another, each on a connection of its own, while the block runs; gives their answers."""
    answers: list[Any] = []
    ended = threading.Event()

    def send_all() -> None:
        for number in range(MANY):
            if ended.is_set():
                return
            try:
                answers.append(post(number))
            except OSError as problem:
                answers.append(problem)
            time.sleep(0.005)

    threads = [threading.Thread(target=send_all)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "killed"), (signal.SIGSTOP, "watchdog")])
def test_daemon_that_is_gone_comes_back_and_hands_over(service: Service, number: int, words: str) -> None:
    """A crash, and a daemon that does nothing any more: what is pending arrives."""
    service.drop_in("[Service]\nWatchdogSec=2\n")
    service.write_settings(quiet_ms=3000)
    service.start()
    assert service.post(1) == 200
    pid = service.pid
    service.systemd.ctl("kill", "--kill-who=main", f"--signal={signal.Signals(number).name}", "rfctl")
    service.wait_for_another(pid)
    wait_until(lambda: service.count_handed_over() == 1)
    assert words in service.systemd.read_journal("rfctl").lower()


@pytest.mark.long
def test_memory_is_capped(service: Service) -> None:
    """A daemon that needs more than it may is ended, and started again; a larger cap lets it live."""
    systemd = service.systemd
    service.start()
    limit = systemd.read_limit("rfctl")
    if limit is None or limit > 2**40:
        pytest.skip("the kernel has no cgroup for memory here: nothing is capped")
    assert limit == 200 * 2**20
    systemd.ctl("stop", "rfctl")
    service.drop_in("[Service]\nMemoryMax=16M\nMemorySwapMax=0\n")
    systemd.run("systemctl", "start", "--no-block", "rfctl")
    wait_until(lambda: int(systemd.show("rfctl", "NRestarts")[0]) >= 1)
    assert re.search("status=9/KILL|oom-kill", systemd.read_journal("rfctl"))
    service.drop_in("")
    service.start()
    assert service.status.startswith("ready, ")


@pytest.mark.long
def test_template_runs_beside_the_service(service: Service) -> None:
    """Each instance has its own settings, port, folder and credentials; a shell sees which Redis it uses."""
    systemd, port = service.systemd, pick_port()
    systemd.write(
        "/etc/rfctl/shop.toml",
        f'http.port = {port}\nredis.prefix = "shop"\nbatching.quiet_ms = 100\n',
    )
    systemd.write("/etc/rfctl/credentials/shop/redis.url", service.server.url, 0o600)
    service.start()
    systemd.ctl("start", "rfctl@shop")
    assert systemd.show("rfctl@shop", "StatusText") == [f"ready, listens on http://127.0.0.1:{port}"]
    assert service.post(1) == service.post(2, port) == 200
    [file] = systemd.run("sh", "-c", "ls /run/rfctl-shop/daemon-*.json").stdout.split()
    assert '"prefix":"shop"' in systemd.run("cat", file).stdout
    shown = systemd.run("/opt/rfctl/bin/rfctl", "--config", "/etc/rfctl/shop.toml", "stats", "-o", "json")
    assert [daemon["listener"] for daemon in json.loads(shown.stdout)["daemons"]] == [
        f"http://127.0.0.1:{port}"
    ]
    systemd.ctl("stop", "rfctl@shop")
    assert systemd.run("ls", "/run/rfctl").stdout.count("daemon-") == 1
