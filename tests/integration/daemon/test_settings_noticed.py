"""Each start logs what is worth a look in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rfctl.daemon.daemon import Daemon
from rfctl.observe import logging as logs
from tests.conftest import configure
from tests.support.servers import RedisServer


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"http__admin_token": "geheim"},
            "http.admin_token has fewer than 16 characters, and may be guessed: make another with openssl rand -hex 24",
        ),
        (
            {"sinks__bot__type": "list", "sinks__bot__key": "bot:{company}"},
            "sinks.bot.key has {company}, and sources.generic.company is not set",
        ),
    ],
)
async def test_start_warns_of_what_is_worth_a_look_and_shows_no_secret(
    server: RedisServer, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    logs.configure(level="warning", format="json", mask=True)
    with capture_logs() as lines:
        daemon = Daemon(configure(server.url, tmp_path, **settings))
        try:
            await daemon.start()
        finally:
            await daemon.stop()
    [text] = [str(line["text"]) for line in lines if line["event"] == "settings_noticed"]
    assert text.startswith(words)
    assert "geheim" not in str(lines)
