"""A reader who follows a page: writes its files, types its commands in their order, and compares what they print.

What runs on (`rfctl serve`, `rfctl tail`, a worker) gets a terminal of its own, and is ended at the end of the page.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import Process, environment, run
from tests.support.servers import RedisServer, pick_port
from tests.support.site.blocks import Block
from tests.support.waiting import PATIENCE_S

STATUSES = {
    "doctor": {0, 1},
    "check": {0, 1, 2},
    **{word: {0, 3} for word in ("find", "inspect", "dead", "quarantine", "forget")},
}
"""The exit statuses that a command may have on a machine for tests; every other command ends with 0."""
_LOOKS = ("rfctl stats", "rfctl find", "cat ")
"""What changes nothing: whoever does not see yet what the page shows looks again."""
_BEGUN = {
    "rfctl serve": '"readiness_gained"',
    "rfctl tail": "following",
    "rfctl stats --watch": "Redis",
    "python3 receiver.py": "ready",
    "python3 bot.py": "",
    "python3 worker.py": "",
}
"""What runs on, and the words by which one sees that it runs."""
_PRELUDE = ("export ", "cd ", ". ")


class Reader:
    """One reader, with a folder, a home and a Redis of their own."""

    def __init__(self, folder: Path, server: RedisServer, *, is_embedded: bool) -> None:
        self.folder, self._server = folder, server
        self._prelude: list[str] = []
        self._running: list[Process] = []
        self._address = ""
        self._programs = folder / ".programs"
        self._programs.mkdir()
        # A link to the interpreter of an environment would be another interpreter.
        for name, command in (("rfctl", f'"{sys.executable}" -m rfctl'), ("python3", f'"{sys.executable}"')):
            (self._programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (self._programs / name).chmod(0o755)
        redis = {} if is_embedded else {"RFCTL_REDIS__URL": server.url}
        self._variables = environment(
            folder,
            RFCTL_HTTP__PORT="0",
            RFCTL_REDIS__EMBEDDED_PORT=str(pick_port()),
            NO_PROXY="*",
            PYTHONUNBUFFERED="1",
            PATH=f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            **redis,
        )

    def follow(self, block: Block) -> None:
        """Do what a block says. Raises AssertionError when a command fails or prints something else."""
        if block.title:
            (self.folder / block.title).write_text(self._put_in(block.code))
        if block.reason:
            return
        for place, command in enumerate(block.commands):
            is_last = place == len(block.commands) - 1
            self.type(command, block.output if is_last else "")

    def type(self, command: str, output: str = "") -> None:
        """Run one command, to its end or until it is seen to run."""
        line = self._put_in(command)
        if line.startswith(_PRELUDE):
            self._prelude.append(line)
            return
        begun = next((words for start, words in _BEGUN.items() if line.startswith(start)), None)
        if begun is None:
            self._run(line, output)
        else:
            self._begin(line, begun, output)

    def _run(self, line: str, output: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while line.startswith(_LOOKS) and time.monotonic() < until:
            with contextlib.suppress(AssertionError):
                if not find_missing(output, self._read(line)):
                    return
        printed = self._read(line)
        assert not (missing := find_missing(output, printed)), f"{line}\n{missing}\n---\n{printed}"

    def _read(self, line: str) -> str:
        """Run a command to its end, and return what it prints."""
        done = run(self._shell(line), self._variables, cwd=self.folder)
        words = line.split()
        allowed = STATUSES.get(words[1], {0}) if words[0] == "rfctl" else {0}
        assert done.returncode in allowed, f"{line}\n{done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _begin(self, line: str, begun: str, output: str) -> None:
        process = Process(self._shell(f"exec {line}"), self._variables, cwd=self.folder)
        self._running.append(process)
        printed = process.stdout if line.startswith(("python3", "rfctl stats")) else process.stderr
        if begun:
            printed.wait_for(lambda text: begun in text)
            if url := re.search(r'"listener": *"(http[^"]+)"', "".join(printed.lines)):
                self._address = url[1]
        for expected in filter(str.strip, output.splitlines()):
            process.stdout.wait_for(lambda text, shown=expected: not find_missing(shown, text))  # type: ignore[misc]

    def _shell(self, line: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", "\n".join([*self._prelude, line])]

    def _put_in(self, text: str) -> str:
        """Return a text with the addresses of this run in place of those of the page."""
        text = text.replace("redis://127.0.0.1:6379", self._server.url.rpartition("/")[0])
        text = text.replace("http://127.0.0.1:3000", self._address or "http://127.0.0.1:3000")
        return re.sub(r"^curl ", "curl -sS --fail --noproxy '*' ", text)

    def end(self) -> None:
        """End what runs on, the newest first. Raises AssertionError when something had failed meanwhile."""
        for process in reversed(self._running):
            assert process.runs, f"{process.command}\n{''.join(process.stderr.lines[-9:])}"
            status = process.end(signal.SIGINT)
            assert status in {0, -signal.SIGINT, 130, 1}, (process.command, status)


@contextlib.contextmanager
def reading(folder: Path, server: RedisServer, *, is_embedded: bool) -> Iterator[Reader]:
    """Give a reader, and end whatever they began."""
    reader = Reader(folder, server, is_embedded=is_embedded)
    yield reader
    reader.end()


def find_missing(expected: str, printed: str) -> str:
    """Return the first line of an output that a page shows and that was not printed; "" if all were, in their order."""
    lines = iter(printed.splitlines())
    for line in filter(str.strip, expected.splitlines()):
        pattern = _loosen(line)
        if not any(pattern.search(each) for each in lines):
            return line
    return ""


def _loosen(line: str) -> re.Pattern[str]:
    """Return a pattern for a line: figures may differ, as may the width of gaps; `…` stands for anything."""
    parts = [
        r"\d+" if part.isdigit() else r".*" if part == "…" else r"\s+" if part.isspace() else re.escape(part)
        for part in re.findall(r"\d+|…|\s+|[^\d\s…]+", line.strip())
    ]
    return re.compile("".join(parts))
