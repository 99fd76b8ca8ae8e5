"""`rfctl doctor` and `rfctl check` as an operator runs them: statuses, and a report that says nothing secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Daemon, rfctl
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import wait_until

SECRETS: dict[str, Any] = {
    "RFCTL_SOURCES__SALON__TYPE": "generic",
    "RFCTL_SOURCES__SALON__SECRETS": '["source-secret-1"]',
    "RFCTL_SINKS__CRM__TYPE": "http",
    "RFCTL_SINKS__CRM__URL": "http://user:sink-secret-2@127.0.0.1:9/hooks/path-secret-3-1234567890abcdef",
    "RFCTL_SINKS__CRM__ALLOW_PRIVATE": "true",
    "RFCTL_SINKS__CRM__HEADERS": '{"X-Key": "header-secret-4"}',
}
PHONE = "79001234567"


def run_until(status: int, tmp_path: Path, *line: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run a command until it ends with this status: on a busy machine a check may not be finished in time."""
    answers: list[subprocess.CompletedProcess[str]] = []

    def ends_so() -> bool:
        answers.append(rfctl(tmp_path, *line, **variables))
        return answers[-1].returncode == status

    wait_until(ends_so)
    return answers[-1]


def test_doctor_and_check_end_with_what_they_found(tmp_path: Path, server: RedisServer) -> None:
    url = {"RFCTL_REDIS__URL": server.url, "RFCTL_HTTP__PORT": str(pick_port())}  # no daemon of this machine
    nobody = run_until(1, tmp_path, "doctor", **url)
    assert nobody.stdout.startswith("FAIL  work: no processor is alive")
    critical = run_until(2, tmp_path, "check", **url)
    assert critical.stdout.startswith("RFCTL CRITICAL - work: no processor is alive")
    with Daemon(tmp_path, **url):
        facts = json.loads(run_until(0, tmp_path, "doctor", "-o", "json", **url).stdout)
        assert facts["failures"] == 0
        assert {"state", "topic", "fact", "set_by", "fix", "code", "subject"} == set(facts["lines"][0])
        has_warnings = bool(facts["warnings"])  # those of this machine's kernel
        run_until(int(has_warnings), tmp_path, "doctor", "--strict", **url)
        checked = run_until(int(has_warnings), tmp_path, "check", **url)
        assert checked.stdout.count("\n") == 1
        assert "| late=0.000s;2;10;0 " in checked.stdout


@pytest.mark.parametrize("form", [["--report"], ["-o", "json"]])
def test_no_form_of_a_diagnosis_shows_a_secret_or_a_phone(
    tmp_path: Path, server: RedisServer, form: list[str]
) -> None:
    with server.client() as client:
        client.rpush(f"rapid-fire:{PHONE}", json.dumps({"message": "a private text", "timestamp": 1}))
    answer = rfctl(
        tmp_path, "doctor", *form, RFCTL_REDIS__URL=server.url.replace("//", "//:redis-secret-5@"), **SECRETS
    )
    assert "secret-" not in answer.stdout + answer.stderr
    assert "a private text" not in answer.stdout
    assert answer.returncode == 1
    variables: dict[str, Any] = {"RFCTL_REDIS__URL": server.url, **SECRETS}
    wait_until(lambda: "rfctl adopt" in rfctl(tmp_path, "doctor", *form, **variables).stdout)
    reached = rfctl(tmp_path, "doctor", *form, **variables)
    assert "secret-" not in reached.stdout + reached.stderr
    assert "a private text" not in reached.stdout
    if form == ["--report"]:
        assert PHONE not in reached.stdout
        assert "== settings that somebody set" in reached.stdout


def test_shell_that_cannot_read_the_credential_of_the_unit_is_told_where_the_daemon_is(
    tmp_path: Path, server: RedisServer
) -> None:
    credentials, runtime = tmp_path / "credentials", tmp_path / "run"
    for folder in (credentials, runtime):
        folder.mkdir(mode=0o700)
    (credentials / "redis.url").write_text(server.url)
    ours: dict[str, Any] = {"XDG_RUNTIME_DIR": str(runtime)}
    with Daemon(tmp_path, CREDENTIALS_DIRECTORY=str(credentials), **ours):
        wait_until(lambda: list(runtime.glob("rfctl/daemon-*.json")))
        away = f"redis://127.0.0.1:{pick_port()}/0"
        first, *_ = rfctl(tmp_path, "doctor", "--redis", away, **ours).stdout.splitlines()
        assert first.startswith(f"FAIL  address: this is {away}, but a daemon (pid ")
        assert f"uses {server.url}" in first
        assert "set by flag --redis" in first
