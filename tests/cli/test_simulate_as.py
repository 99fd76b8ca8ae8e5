"""`rfctl simulate --as`: requests in each provider's shape and with its proof go through the door of a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rfctl.cli.app import app
from rfctl.errors import RfctlError
from tests.support.processes import Daemon, rfctl
from tests.support.servers import RedisServer

SOURCES = """\
[sources.wa]
type = "whatsapp-cloud"
secrets = ["app_secret"]
companies = { "106540352242922" = 7 }
unknown_account = "quarantine"
[sources.tg]
type = "telegram"
secrets = ["a_token"]
[sources.sms]
type = "twilio"
secrets = ["auth_token"]
public_url = "https://bot.example.com"
public_path = "/hooks/sms"
[sources.evo]
type = "evolution"
secrets = ["a_jwt_key_that_is_long_enough_for_anybody"]
[sources.waha]
type = "waha"
secrets = ["hmac_key"]
[sources.green]
type = "green-api"
secrets = ["webhook_token"]
[sources.generic]
secrets = ["shared"]
[sources.page]
preset = "messenger"
secrets = ["page_secret"]
[sources.shop]
type = "generic"
secrets = ["token"]
auth = { type = "token", query = "key" }
quiet_ms = 400
map = { each = "entry.*.messages", phone = "from", text = "text.body", id = "id", only_if = { kind = "in" } }
[sources.vague]
type = "generic"
map = { phone = "from", text = "text" }
"""
NAMES = ("wa", "tg", "sms", "evo", "waha", "green", "generic", "page", "shop")
QUICK = {"RFCTL_BATCHING__QUIET_MS": "300", "RFCTL_BATCHING__MAX_WAIT_MS": "5000"}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(SOURCES)
    file.chmod(0o600)
    return file


@pytest.fixture
def daemon(server: RedisServer, settings: Path, tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(tmp_path, "--config", str(settings), RFCTL_REDIS__URL=server.url, **QUICK)
    yield started
    started.end()


def simulate(server: RedisServer, settings: Path, *line: str) -> Result:
    """Run the command in this process: to start it for each source would take longer than all else."""
    whole = [
        "--config",
        str(settings),
        "--redis",
        server.url,
        "-o",
        "json",
        "simulate",
        "--count",
        "2",
        "--interval",
        "0",
    ]
    return CliRunner().invoke(app, [*whole, *line], env=QUICK)


def check_report(name: str, result: Result) -> None:
    report = json.loads(result.stdout or "null")
    assert report is not None, (name, result.exception)
    assert (report["sent"], report["received"]) == (2, 2), (name, report)
    assert [failure for failure in report["failures"] if not failure.endswith("ms late")] == [], name
    [batch] = report["merged"]
    assert (batch["channel"], batch["count"], batch["simulated"]) == (name, 2, name == "generic")
    assert batch["text"].startswith("rfctl simulate 1/2")
    assert batch["phone"].startswith("999")
    assert (batch["company"], batch["account"]) == (7, "106540352242922") or name != "wa"


@pytest.mark.usefixtures("daemon")
def test_daemon_takes_what_each_provider_would_send_and_the_rest_is_told_in_words(
    tmp_path: Path, settings: Path, server: RedisServer
) -> None:
    for name in NAMES:
        check_report(name, simulate(server, settings, "--as", name))
    other = tmp_path / "other.toml"
    other.write_text(SOURCES.replace("page_secret", "another"))
    other.chmod(0o600)
    for file, line, words in (
        (other, ["--as", "page"], "/webhook/page answered 401"),
        (settings, ["--as", "vague"], "source vague cannot be simulated: its map has no id"),
        (settings, ["--as", "pagge"], "did you mean page"),
        (settings, ["--as", "tg", "--phone", "somebody"], "somebody is no id of a Telegram user"),
        (settings, ["--as", "tg", "--via", "redis"], "--as is for the webhook"),
    ):
        problem = simulate(server, file, *line).exception
        assert isinstance(problem, RfctlError)
        assert words in problem.fact
        assert problem.next
    shown = rfctl(
        tmp_path, "--config", str(settings), "--redis", server.url, "simulate", "--as", "tg", "--phone", "7001",
        "--count", "1", RFCTL_BATCHING__QUIET_MS="300",
    )  # fmt: skip
    assert "7001" in shown.stdout
    assert "via webhook, as tg" in shown.stderr
