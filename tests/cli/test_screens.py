"""A terminal of 80 columns: what strangers typed acts on nothing there, and no table is wider, in any command."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from rfctl.model.message import Message, Unparsed
from rfctl.store import DaemonRecord
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.processes import RFCTL, environment
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import PATIENCE_S

HOSTILE = "a\x1b[2J\x9b2J\u202eb\u2066c\U000e0041\x07\r\nd"
PHONE = "79001234567"
_ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")

COMMANDS = [
    ["stats"], ["stats", "--limit", "20"], ["inspect", PHONE], ["dead", "list"], ["dead", "show", "7-7"], ["quarantine", "list"],
    ["dead", "drop", "--all", "--yes"], ["quarantine", "drop", "--all", "--yes"], ["discard", "--all", "--yes"],
    ["discard", PHONE], ["quarantine", "retry", "--all"], ["dead", "retry", "--all", "--yes"], ["doctor"],
]  # fmt: skip


def run_on_terminal(tmp_path: Path, url: str, *line: str, with_stderr: bool = True) -> str:
    """Run a command on a terminal of its own, and return all that the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    variables = environment(tmp_path, RFCTL_REDIS__URL=url, TERM="xterm")
    del variables["COLUMNS"]
    command = [RFCTL, *line]
    stderr = theirs if with_stderr else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=stderr, env=variables) as process:
        os.close(theirs)
        screen = bytearray()
        try:
            while part := _read(ours):
                screen += part
            process.wait(PATIENCE_S)
        finally:
            process.kill()
            os.close(ours)
    return screen.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the command has ended
        return b""


async def fill(connection: Connection) -> None:
    """Put strangers' text wherever it may be."""
    rig = make_rig(connection, quiet_ms=600_000, max_wait_ms=3_600_000)
    for phone in (PHONE, HOSTILE):
        message = Message(
            phone=phone, text=HOSTILE * 9, id=HOSTILE, channel=HOSTILE, company=HOSTILE, type="text"
        )
        await rig.add([message])
    await rig.store.quarantine.add(HOSTILE, "telegram", [Unparsed(HOSTILE.encode() * 9, HOSTILE * 9)])
    tries = json.dumps([{"at_ms": 1, "error": HOSTILE * 9}])
    letter = (
        "sink",
        HOSTILE,
        "id",
        "7-7",
        "tries",
        tries,
        "phone",
        PHONE,
        "text",
        HOSTILE * 9,
        "reason",
        HOSTILE,
    )
    await connection.call("XADD", "rfctl:dead", "*", *letter, "messages", json.dumps([{"message": HOSTILE}]))
    await connection.call("HSET", "rfctl:totals", f"skipped:{HOSTILE}", 1)
    record = DaemonRecord(
        id="d", host=HOSTILE, pid=1, version="1", role="all", listener=HOSTILE, reload_refused=HOSTILE
    )
    await rig.store.daemons.write(record, age_ms=0)


def find_active(screen: str) -> list[str]:
    """Return what acts on a terminal, but for our own styles and line feeds."""
    return _ACTIVE.findall(_STYLE.sub("", screen))


def test_active_characters_are_noticed() -> None:
    assert find_active("\x1b[1mbold\x1b[0m\nplain") == []
    assert len(find_active(HOSTILE)) == 7


@pytest.mark.parametrize("line", COMMANDS)
async def test_text_of_strangers_acts_on_nothing_and_fits(
    server: RedisServer, connection: Connection, tmp_path: Path, line: list[str]
) -> None:
    await fill(connection)
    screen = await asyncio.to_thread(run_on_terminal, tmp_path, server.url, *line)
    assert "\\x1b[2J" in screen or "\\x9b2J" in screen, screen
    assert find_active(screen) == []
    lines = [
        _STYLE.sub("", text) for text in screen.splitlines() if not text.startswith("rfctl: ")
    ]  # no notes
    if (
        line[0] != "discard" or "--all" not in line
    ):  # these lines are for a file, and the terminal breaks them
        assert max(map(len, lines), default=0) <= 80


async def test_report_for_a_bug_acts_on_nothing_either(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    await fill(connection)
    screen = await asyncio.to_thread(run_on_terminal, tmp_path, server.url, "doctor", "--report")
    assert "\\x1b[2J" in screen, screen
    assert find_active(screen) == []


@pytest.mark.parametrize("output", ["json", "jsonl"])
@pytest.mark.parametrize("line", COMMANDS)
async def test_json_on_a_terminal_acts_on_nothing_and_says_the_same(
    server: RedisServer, connection: Connection, tmp_path: Path, line: list[str], output: str
) -> None:
    await fill(connection)
    command = (*line, "-o", output)
    screen = await asyncio.to_thread(run_on_terminal, tmp_path, server.url, *command, with_stderr=False)
    assert find_active(screen) == []
    values = [json.loads(screen)] if output == "json" else list(map(json.loads, screen.splitlines()))
    assert repr(HOSTILE)[1:-1] in repr(values)


class Screen:
    """A command on a terminal of its own that goes on until it is interrupted."""

    def __init__(self, tmp_path: Path, url: str, *line: str, **more: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        variables = environment(tmp_path, RFCTL_REDIS__URL=url, TERM="xterm", **more)
        del variables["COLUMNS"]
        self._process = subprocess.Popen(
            [RFCTL, *line], stdin=theirs, stdout=theirs, stderr=theirs, env=variables
        )
        os.close(theirs)
        self.text = ""

    def read_until(self, wanted: str) -> str:
        """Return what the terminal got, up to this text. Raises AssertionError if the command ends before."""
        begin = len(self.text)
        while wanted not in self.text[begin:]:
            part = _read(self._ours)
            assert part, self.text[begin:]
            self.text += part.decode(errors="replace")
        return self.text[begin:]

    def end(self) -> int:
        """Interrupt it, and return its status."""
        self._process.send_signal(signal.SIGINT)
        while _read(self._ours):
            pass
        try:
            return self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            os.close(self._ours)


def test_watch_outlives_redis_and_says_since_when_it_is_away(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    screen = Screen(tmp_path, server.url, "stats", "--watch")
    try:
        shown = screen.read_until("WAITING")
        assert shown.index("FAILING") < shown.index("NEEDS YOU") < shown.index("WAITING")
        server.kill()
        screen.read_until("Redis away since ")
        assert "trying again" in screen.read_until(" old")
        server.start()
        screen.read_until("\x1b[H\x1b[1;31m✖ FAILING")
    finally:
        status = screen.end()
    assert status == 0


def test_tail_outlives_redis_and_has_no_colour_where_none_is_wanted(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    screen = Screen(tmp_path, server.url, "tail", NO_COLOR="1")
    try:
        screen.read_until("following")
        asyncio.run(say(server.url, "before"))
        screen.read_until("before")
        server.kill()
        screen.read_until("Redis away since ")
        server.start()
        screen.read_until("Redis is back")
        asyncio.run(say(server.url, "after"))
        screen.read_until("after")
    finally:
        status = screen.end()
    assert status == 0
    assert "38;5" not in screen.text


async def say(url: str, text: str) -> None:
    """Store a message."""
    connection = Connection.open(patient_address(url))
    try:
        rig = make_rig(connection, quiet_ms=600_000, max_wait_ms=3_600_000)
        await rig.add([Message(phone=PHONE, text=text, id=text, channel="generic")])
    finally:
        await connection.close()
