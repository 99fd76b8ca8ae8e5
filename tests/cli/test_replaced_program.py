"""An upgrade puts other files in the place of the program while the old daemon runs: it needs none of them any more."""

from __future__ import annotations

import shutil
import signal
import urllib.request
from pathlib import Path

import rfctl
from tests.support.processes import Daemon
from tests.support.servers import RedisServer
from tests.support.waiting import PATIENCE_S, wait_until

SETTINGS = """
sources.shop = {{ preset = "zapi", secrets = ["{secret}"] }}
sources.generic.type = "generic"
sinks.bot = {{ type = "list", key = "bot" }}
batching.max_size = {max_size}
"""


def test_daemon_whose_program_is_taken_away_works_to_its_end(server: RedisServer, tmp_path: Path) -> None:
    program, settings = tmp_path / "program", tmp_path / "c.toml"
    shutil.copytree(Path(rfctl.__file__).parent, program / "rfctl")
    settings.write_text(SETTINGS.format(secret="s" * 24, max_size=5))
    settings.chmod(0o600)
    daemon = Daemon(
        tmp_path, "--config", str(settings), "--redis", server.url,
        PYTHONPATH=str(program), RFCTL_BATCHING__MAX_WAIT_MS="5000", RFCTL_BATCHING__QUIET_MS="20",
    )  # fmt: skip
    shutil.rmtree(program)

    for path in ("/metrics", "/", "/page/rfctl.js", "/readyz", "/openapi.json"):
        with urllib.request.urlopen(daemon.url + path, timeout=PATIENCE_S) as answer:
            assert answer.status == 200, path
    daemon.post({"from": "7", "message": "kept"})
    with server.client() as client:
        wait_until(lambda: client.llen("bot") == 1)
    settings.write_text(SETTINGS.format(secret="t" * 24, max_size=6))
    daemon.send_signal(signal.SIGHUP)
    daemon.stderr.wait_for(lambda line: '"settings_re' in line)
    settings.write_text(SETTINGS.format(secret="t" * 24, max_size=0))
    daemon.send_signal(signal.SIGHUP)
    daemon.stderr.wait_for(lambda line: '"settings_rejected"' in line)
    daemon.post({"from": "7", "message": "on the way"})

    assert daemon.end() == 0
    problems = [line for line in daemon.lines if "No such file" in str(line) or "ModuleNotFound" in str(line)]
    assert not problems
    assert daemon.find_event("settings_reloaded")
