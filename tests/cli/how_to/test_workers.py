"""docs/how-to/worker-python.md and worker-node.md: each worker, as it stands there, is killed in the middle of a message."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.processes import Process, environment, run
from tests.support.recipes import list_blocks
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker_groups import OutputStream, full_memory

FOLDER = Path(__file__).parents[3] / "docs" / "how-to"
PYTHON_BOT = """
import os, pathlib, time

def reply(phone, text):
    died = pathlib.Path("DIED")
    if text == "die" and not died.exists():
        died.write_text(str(os.getpid()))
        time.sleep(600)
    with open("DONE", "a") as done:
        done.write(f"{phone} {text}\\n")
"""
NODE_BOT = """
const fs = require("fs");
exports.reply = async (phone, text) => {
  if (text === "full") {
    fs.writeFileSync("FULL", "");
    while (!fs.existsSync("GO")) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (text === "die" && !fs.existsSync("DIED")) {
    fs.writeFileSync("DIED", "" + process.pid);
    await new Promise((resolve) => setTimeout(resolve, 600000));
  }
  fs.appendFileSync("DONE", `${phone} ${text}\\n`);
};
"""


class Trial:
    """One worker program in a folder, and what its bot has written there."""

    def __init__(self, folder: Path, server: RedisServer, command: Sequence[str]) -> None:
        self._folder, self._command = folder, command
        self._variables = environment(folder, RFCTL_REDIS__URL=server.url, PYTHONUNBUFFERED="1")
        self.out = OutputStream(server)

    def start(self) -> Process:
        return Process(self._command, self._variables, cwd=self._folder)

    @property
    def done(self) -> list[str]:
        file = self._folder / "DONE"
        return file.read_text().splitlines() if file.exists() else []

    def is_dying(self) -> bool:
        return (self._folder / "DIED").exists()

    def is_all_acknowledged(self) -> bool:
        group = self.out.read_group()
        return group["pending"] == 0 and group["lag"] in (0, None)


def crash_in_the_middle(trial: Trial) -> list[str]:
    """Kill a worker that has taken a message, let another go on, and repeat what was handled. Returns what was handled."""
    for phone, text in (("7900", "a"), ("7900", "die"), ("7900", "b"), ("7901", "c")):
        trial.out.add(phone, text)
    with trial.start() as first:
        wait_until(lambda: trial.is_dying() or not first.runs)
        assert first.runs, first.stderr.lines
        first.end(signal.SIGKILL)
    assert trial.out.read_group()["pending"] > 0
    with trial.start() as second:
        wait_until(lambda: (trial.is_all_acknowledged() and len(trial.done) == 4) or not second.runs)
        trial.out.add("7900", "a")  # handed over once more, as after a failover
        trial.out.add("7902", "z")
        wait_until(lambda: (trial.is_all_acknowledged() and "7902 z" in trial.done) or not second.runs)
        assert second.end(signal.SIGTERM) == 0, second.stderr.lines
    return trial.done


def write_python(folder: Path, part: str) -> list[str]:
    [program] = [
        block for block in list_blocks((FOLDER / "worker-python.md").read_text(), "python") if part in block
    ]
    program = program.replace(
        "print(message.phone, message.text, flush=True)", "reply(message.phone, message.text)"
    )
    program = program.replace('group="bot"', 'group="bot", retry_after_s=1')
    assert "reply(" in program
    assert "retry_after_s=1" in program
    (folder / "bot.py").write_text(PYTHON_BOT)
    (folder / "worker.py").write_text("from bot import reply\n" + program)
    return [sys.executable, "worker.py"]


@pytest.mark.parametrize("part", ["import Worker", "import AsyncWorker"])
def test_python_worker_that_is_killed_loses_nothing(server: RedisServer, tmp_path: Path, part: str) -> None:
    done = crash_in_the_middle(Trial(tmp_path, server, write_python(tmp_path, part)))
    assert [line for line in done if line.startswith("7900")] == ["7900 a", "7900 die", "7900 b"]
    assert sorted(done) == ["7900 a", "7900 b", "7900 die", "7901 c", "7902 z"]


def write_node(folder: Path) -> list[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node (Debian's nodejs), and ioredis on NODE_PATH: scripts/test fetches it")
    if run([node, "-e", "require('ioredis')"], os.environ).returncode:
        pytest.skip("needs ioredis on NODE_PATH: scripts/test fetches it, or npm install ioredis")
    [program] = list_blocks((FOLDER / "worker-node.md").read_text(), "js")
    program = program.replace(
        "console.log(merged.phone, merged.text)", "await reply(merged.phone, merged.text)"
    )
    program = program.replace("30000", "1000")
    assert "await reply(" in program
    (folder / "bot.js").write_text(NODE_BOT)
    (folder / "worker.js").write_text('const { reply } = require("./bot");\n' + program)
    return [node, "worker.js"]


def test_node_worker_that_is_killed_loses_nothing(server: RedisServer, tmp_path: Path) -> None:
    done = crash_in_the_middle(Trial(tmp_path, server, write_node(tmp_path)))
    assert sorted(done) == ["7900 a", "7900 b", "7900 die", "7901 c", "7902 z"]


def test_node_worker_answers_once_while_redis_is_full(server: RedisServer, tmp_path: Path) -> None:
    """And a message without a delivery id is no repeat of another one without."""
    trial = Trial(tmp_path, server, write_node(tmp_path))
    with server.client() as client:
        for text in "ab":
            client.xadd("rfctl:out", {"phone": "7900", "text": text})
    trial.out.add("7900", "full")
    with trial.start() as worker:
        wait_until((tmp_path / "FULL").exists)
        with full_memory(server):
            (tmp_path / "GO").touch()
            wait_until(trial.is_all_acknowledged)
        assert worker.end(signal.SIGTERM) == 0, worker.stderr.lines
    assert trial.done == ["7900 a", "7900 b", "7900 full"]
