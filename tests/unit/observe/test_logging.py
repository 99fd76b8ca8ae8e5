"""The log: what a line shows, and that no log call raises or waits, whatever becomes of its reader."""

from __future__ import annotations

import io
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from rfctl.observe import logging as logs
from rfctl.observe.log_stream import LogStream
from tests.support.waiting import PATIENCE_S

PHONE = "79001234567"


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set up for a whole process is taken back."""
    monkeypatch.setattr(logs, "_own_stream", None)


class Pipe:
    """A pipe, and the streams that write to it. Their threads end with it: the next pipe may have the same number."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._streams: list[LogStream] = []

    def stream(self, **options: Any) -> LogStream:
        self._streams.append(LogStream(self.writer, **options))
        return self._streams[-1]

    def lose_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1

    def close(self) -> None:
        if self.reader >= 0:
            self.lose_reader()
        for stream in self._streams:
            stream.flush(PATIENCE_S)
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def logged(method: str = "info", *, format: str = "json", mask: bool = True, **fields: Any) -> str:  # noqa: A002
    stream = io.StringIO()
    logs.configure(level="info", format=format, mask=mask, stream=stream)
    getattr(structlog.get_logger(), method)("thing_happened", **fields)
    return stream.getvalue()


def test_a_log_line_is_one_json_object_with_the_phone_masked() -> None:
    line = logged(phone=PHONE, pending=[{"phone": PHONE, PHONE: (PHONE,)}], text="a\nb\x1b", pid=12345678)
    assert line.count("\n") == 1
    event = json.loads(line)
    assert event["phone"] == "79001•••67"
    assert event["pending"] == [{"phone": "79001•••67", "79001•••67": ["79001•••67"]}]
    assert "4567" not in line.replace("12345678", "")
    assert event["text"] == "a\\nb\\x1b"
    assert event["pid"] == 12345678


@given(
    st.sampled_from(["path", "problem", "first", "next", "text", "phone", "why"]),
    st.sampled_from(["{}", "/messages/{}", "for {}: no", "{}@c.us", "KeyError('{}')"]),
    st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True),
    st.booleans(),
)
def test_no_field_shows_a_phone(name: str, form: str, phone: str, deep: bool) -> None:
    text = form.format(phone)
    fields: dict[str, Any] = {name: [{"inner": text}] if deep else text}
    line = logged(**fields)
    assert phone not in line
    assert phone in logged(mask=False, **fields)


def test_phone_that_is_no_number_is_hidden_in_every_field_of_its_line() -> None:
    line = logged(phone="maria@lid", problem="no batch of maria@lid", first="maria@lid")
    assert "maria@lid" not in line


def test_batch_key_and_message_id_stay_readable() -> None:
    key = "#0123456789abcdef0123456789abcdef"
    event = json.loads(logged(first=key, id="1758000000000-0", problem="message 1758000000000-0-3"))
    assert (event["first"], event["id"]) == (key, "1758000000000-0")
    assert event["problem"] == "message 1758000000000-0-3"


@pytest.mark.parametrize("format", ["json", "text"])
def test_exception_is_logged_as_frames_without_the_values_of_variables(format: str) -> None:  # noqa: A002
    def crash(hidden: str) -> None:
        local = f"{hidden} of 79001234567"
        raise ValueError("not so", len(local))

    stream = io.StringIO()
    logs.configure(level="info", format=format, mask=True, stream=stream)
    try:
        try:
            crash("topsecret")
        except ValueError as cause:
            raise RuntimeError(f"for {PHONE} at redis://:p/w@h") from cause
    except RuntimeError:
        structlog.get_logger().exception("thing_happened")
    line = stream.getvalue()
    assert "topsecret" not in line
    assert "p/w" not in line
    assert PHONE not in line
    for part in ("ValueError: ", "not so", "RuntimeError: for 79001•••67", "test_logging.py:", " crash"):
        assert part in line
    if format == "json":
        assert json.loads(line)["exception"][0].startswith("ValueError: ")


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize("value", [_Unprintable(), "\ud800", b"\xff", {1: 2}, float("nan"), {3}, object()])
def test_log_call_never_raises_because_of_a_value(value: object, format: str) -> None:  # noqa: A002
    line = logged(format=format, value=value)
    assert "thing_happened" in line
    if format == "json":
        assert json.loads(line, parse_constant=pytest.fail)
    line.encode()


@pytest.mark.parametrize("format", ["json", "text"])
def test_log_call_never_raises_because_of_a_stream_in_memory(format: str) -> None:  # noqa: A002
    stream = io.StringIO()
    logs.configure(level="info", format=format, mask=True, stream=stream)
    stream.close()
    structlog.get_logger().info("thing_happened")


def test_lines_of_a_dead_reader_are_counted(pipe: Pipe) -> None:
    stream = pipe.stream()
    pipe.lose_reader()
    for number in range(3):
        stream.write(f"line {number}")
    stream.flush(PATIENCE_S)
    assert stream.lost == 3


def test_lines_for_a_full_disk_are_counted() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        stream = LogStream(full)
        stream.write("line")
        stream.flush(PATIENCE_S)
        assert stream.lost == 1
    finally:
        os.close(full)


def test_reader_that_does_not_read_stops_no_log_call(pipe: Pipe) -> None:
    stream = pipe.stream(max_lines=10, max_bytes=10**9)
    for number in range(50):
        stream.write(f"{number} " + "x" * 65_536)  # each is larger than the pipe
        if number == 0:
            select.select(
                [pipe.reader], [], [], PATIENCE_S
            )  # now the thread has it in hand, and stands still
    assert stream.lost == 39, "the thread has one line in hand, and ten wait"
    text = b""
    while text.count(b"\n") < 11:
        text += os.read(pipe.reader, 1 << 20)
    assert [line.split()[0] for line in text.splitlines()] == [b"%d" % number for number in range(11)]


def test_bytes_that_wait_are_bounded_too(pipe: Pipe) -> None:
    stream = pipe.stream(max_lines=10**6, max_bytes=500_000)
    for _ in range(20):
        stream.write("x" * 100_000)
    assert 13 <= stream.lost <= 16


def test_log_tells_of_its_gap_when_it_is_read_again(pipe: Pipe) -> None:
    stream: LogStream = pipe.stream(on_recovery=lambda lines: stream.write(f"gap of {lines}"), max_lines=1)
    for _ in range(9):
        stream.write("x" * 100_000)
    lost = stream.lost
    text = b""
    while b"gap" not in text:
        text += os.read(pipe.reader, 1 << 20)
    stream.flush(PATIENCE_S)
    assert f"gap of {lost}" in text.decode()


def test_descriptor_that_another_program_made_nonblocking_gets_whole_lines(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    stream = pipe.stream()
    line = "x" * 300_000
    stream.write(line)
    text = b""
    while not text.endswith(b"\n"):
        text += os.read(pipe.reader, 1 << 16)
    assert text.decode() == line + "\n"
    assert stream.lost == 0


def test_lost_lines_of_the_process_are_readable(pipe: Pipe) -> None:
    assert logs.lost_lines() == 0
    logs.configure(level="info", format="json", mask=True, stream=pipe.stream())
    pipe.lose_reader()
    structlog.get_logger().info("thing_happened")
    logs.flush(PATIENCE_S)
    assert logs.lost_lines() == 1


def test_line_that_is_logged_while_the_interpreter_ends_starts_no_thread(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python warns of what it finds open at its end. A thread that is started then never begins, and its start waits."""
    stream = pipe.stream()
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("it would wait for ever"))
    stream.write("late")
    assert stream.lost == 1


LOG_TWO = """
from rfctl.observe import logging as logs
import structlog
logs.configure(level="info", format="json", mask=True)
structlog.get_logger().info("went_well")
structlog.get_logger().error("went_wrong")
logs.flush(10)
"""


@pytest.mark.parametrize(("is_journal", "prefixes"), [(True, ["<6>", "<3>"]), (False, ["", ""])])
def test_only_the_journal_gets_the_level_before_the_line(
    tmp_path: Path, is_journal: bool, prefixes: list[str]
) -> None:
    """systemd takes it off again. A file in its place, with the variable left over, gets plain JSON."""
    path = tmp_path / "log"
    with path.open("wb") as stderr:
        facts = os.fstat(stderr.fileno())
        variables = {**os.environ, "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino + (not is_journal)}"}
        subprocess.run([sys.executable, "-c", LOG_TWO], stderr=stderr, env=variables, timeout=60, check=True)
    lines = path.read_text().splitlines()
    assert [line.partition("{")[0] for line in lines] == prefixes
    assert [json.loads(line[line.index("{") :])["level"] for line in lines] == ["info", "error"]
