"""`rfctl quarantine` offers the command line that tries a request without storing it, and that line works."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from rfctl.model.message import Unparsed
from rfctl.store.connection import Connection
from rfctl.store.quarantine import Quarantine
from tests.support.keys import COMMON
from tests.support.processes import RFCTL, environment, rfctl
from tests.support.servers import RedisServer

BODY = b'{"from": "79001", "text": "\xff\n"}'


async def test_offered_command_reads_the_body_to_the_byte_and_stores_nothing(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    settings = tmp_path / "my settings.toml"
    settings.write_text('[sources.shop]\ntype = "generic"\nmap = { phone = "from", text = "text" }\n')
    await Quarantine(connection, COMMON).add("shop", "generic", [Unparsed(BODY, "old words")])
    line = ("--redis", server.url, "--config", str(settings), "quarantine")
    listed = rfctl(tmp_path, *line, "list")
    [request_id] = [word for word in listed.stdout.split() if word.endswith("-0")]
    assert "show ID --body | rfctl" in listed.stderr
    shown = rfctl(tmp_path, *line, "show", request_id)
    offered = shown.stderr.partition("try it: ")[2].strip()
    assert shlex.quote(str(settings)) in offered
    before = await connection.call("DBSIZE")
    done = subprocess.run(
        ["bash", "-c", offered.replace("rfctl ", f"{shlex.quote(RFCTL)} ")],
        env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "not JSON" in done.stdout, done.stderr
    assert done.returncode == 1
    assert await connection.call("DBSIZE") == before
    raw = subprocess.run(
        [RFCTL, *line, "show", request_id, "--body"],
        env=environment(tmp_path), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert raw.stdout == BODY
    assert "show ID --body" in rfctl(tmp_path, *line, "retry", "--all").stderr
    assert rfctl(tmp_path, *line, "show", "1-1", "--body").returncode == 3
