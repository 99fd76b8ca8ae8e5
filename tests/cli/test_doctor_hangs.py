"""`rfctl doctor` ends where something that it looks at never comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import environment
from tests.support.servers import RedisServer

HANG = """
import shutil, socket, sys, threading
from rfctl.observe.facts.host import Machine

def hang(*_, **__): threading.Event().wait()

real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **names: hang() if host == "crm.example" else real(host, *more, **names)
Machine.compare_units = hang
import rfctl.observe.facts.neighbours, rfctl.sinks.command.sink
rfctl.observe.facts.neighbours.list_living_daemons = hang
shutil.which = hang
from rfctl.cli import main
sys.argv[1:] = {line}
main()
"""


@pytest.mark.parametrize("line", [["doctor", "-o", "json"], ["check"]])
def test_doctor_ends_where_files_and_dns_never_answer(
    tmp_path: Path, server: RedisServer, line: list[str]
) -> None:
    variables = environment(
        tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_SINKS__CRM__TYPE="http", RFCTL_SINKS__CRM__URL="https://crm.example/",
        RFCTL_SINKS__SH__TYPE="command", RFCTL_SINKS__SH__COMMAND='["cat"]',
    )  # fmt: skip
    code = HANG.replace("{line}", repr(line))
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr
    if line == ["check"]:
        assert done.returncode == 2
        assert done.stdout.startswith("RFCTL CRITICAL - ")
        return
    assert done.returncode == 1, done.stderr
    lines = json.loads(done.stdout)["lines"]
    unfinished = {line["subject"] for line in lines if line["code"] == "check_unfinished"}
    assert {"this host", "the daemons of this host", "the sources and sinks"} <= unfinished
    assert any(line["code"] == "sink_unreachable" for line in lines)
