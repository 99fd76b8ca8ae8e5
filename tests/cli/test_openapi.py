"""The OpenAPI document against a running daemon: schemathesis makes requests of it, and looks at every answer.

It runs as a program of its own: as a plugin of pytest it would be imported by every test process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.processes import Daemon, environment, rfctl, run
from tests.support.servers import RedisServer

SETTINGS = """
[sources.generic]
type = "generic"
[sources.bot]
type = "telegram"
[sources.meta]
type = "whatsapp-cloud"
secrets = ["a-word-of-16-chars"]
verify_token = "another-word"
[sources.sms]
type = "twilio"
public_url = "https://bot.example.com"
[sources.lists]
type = "generic"
map = { each = "*", phone = "from", text = "text", id = "id" }
"""
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,positive_data_acceptance"
)


ENDLESS = "/page/events"
"""Its answer does not end, and schemathesis waits for the end: tests/integration/page/test_page.py reads it."""


@pytest.fixture
def daemon(server: RedisServer, tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "rfctl.toml").write_text(SETTINGS)
    daemon = Daemon(tmp_path, "--config", str(tmp_path / "rfctl.toml"), RFCTL_REDIS__URL=server.url)
    yield daemon
    assert [line for line in daemon.lines if line["event"] == "handler_crashed"] == []
    daemon.end()


def read_csrf(daemon: Daemon) -> str:
    """Return the word with which requests act as the page does."""
    with httpx.Client(trust_env=False) as client:
        return str(client.get(f"{daemon.url}/page/state").json()["csrf"])


def try_requests(daemon: Daemon, folder: Path, phases: str, examples: int) -> str:
    """Let schemathesis send requests; returns what it says. Raises AssertionError for an answer that is not described."""
    page = {"Origin": daemon.url, "X-Rfctl-Csrf": read_csrf(daemon)}
    program = "from schemathesis.cli import schemathesis; schemathesis()"
    line = [
        sys.executable, "-c", program, "run", f"{daemon.url}/openapi.json", "--checks", CHECKS, "--phases", phases,
        "--max-examples", str(examples), "--no-color", "--continue-on-failure", "--generation-database", "none",
        "--suppress-health-check", "all", "--warnings", "off", "--no-shrink", "--exclude-path", ENDLESS,
        *(word for name, value in page.items() for word in ("--header", f"{name}: {value}")),
    ]  # fmt: skip
    variables = environment(folder, NO_PROXY="*", PYTHONWARNINGS="ignore")
    done = run(line, variables, within_s=800, cwd=folder)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_every_answer_is_described(daemon: Daemon, tmp_path: Path) -> None:
    """And every request is taken that is described. Few of each kind; the long test below makes many."""
    assert "passed" in try_requests(daemon, tmp_path, "fuzzing", 2)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_answer_to_many_requests_is_described(daemon: Daemon, tmp_path: Path) -> None:
    assert "passed" in try_requests(daemon, tmp_path, "examples,coverage,fuzzing", 40)


def test_program_prints_what_the_daemon_answers(daemon: Daemon, tmp_path: Path) -> None:
    printed = rfctl(tmp_path, "--config", str(tmp_path / "rfctl.toml"), "export", "openapi")
    assert printed.returncode == 0, printed.stderr
    with httpx.Client(trust_env=False) as client:
        assert json.loads(printed.stdout) == client.get(f"{daemon.url}/openapi.json").json()
