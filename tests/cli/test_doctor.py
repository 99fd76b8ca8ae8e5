"""`rfctl doctor` and `rfctl check` as an operator runs them: statuses, and a report that says nothing secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.processes import Daemon, rfctl
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

SECRETS = {
    "RFCTL_SOURCES__SALON__TYPE": "generic",
    "RFCTL_SOURCES__SALON__SECRETS": '["source-secret-1"]',
    "RFCTL_SINKS__CRM__TYPE": "http",
    "RFCTL_SINKS__CRM__URL": "http://user:sink-secret-2@127.0.0.1:9/hooks/path-secret-3-1234567890abcdef",
    "RFCTL_SINKS__CRM__ALLOW_PRIVATE": "true",
    "RFCTL_SINKS__CRM__HEADERS": '{"X-Key": "header-secret-4"}',
}
PHONE = "79001234567"


def test_doctor_and_check_end_with_what_they_found(tmp_path: Path, server: RedisServer) -> None:
    url = {"RFCTL_REDIS__URL": server.url}
    nobody = rfctl(tmp_path, "doctor", **url)
    assert nobody.returncode == 1
    assert nobody.stdout.startswith("FAIL  work: no processor is alive")
    critical = rfctl(tmp_path, "check", **url)
    assert critical.returncode == 2
    assert critical.stdout.startswith("RFCTL CRITICAL - work: no processor is alive")
    with Daemon(tmp_path, **url):
        wait_until(lambda: rfctl(tmp_path, "doctor", **url).returncode == 0)
        answer = rfctl(tmp_path, "doctor", "-o", "json", **url)
        facts = json.loads(answer.stdout)
        assert facts["failures"] == 0
        assert {"state", "topic", "fact", "set_by", "fix", "code", "subject"} == set(facts["lines"][0])
        strict = rfctl(tmp_path, "doctor", "--strict", **url)
        assert strict.returncode == (1 if facts["warnings"] else 0)
        checked = rfctl(tmp_path, "check", **url)
        assert checked.returncode == (1 if facts["warnings"] else 0)
        assert checked.stdout.count("\n") == 1
        assert "| late=0.000s;2;10;0 " in checked.stdout


@pytest.mark.parametrize("form", [["--report"], ["-o", "json"], []])
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
    reached = rfctl(tmp_path, "doctor", *form, RFCTL_REDIS__URL=server.url, **SECRETS)
    assert "secret-" not in reached.stdout + reached.stderr
    assert "a private text" not in reached.stdout
    if form == ["--report"]:
        assert PHONE not in reached.stdout
        assert "== settings that somebody set" in reached.stdout
        assert "79001•••67" in reached.stdout
