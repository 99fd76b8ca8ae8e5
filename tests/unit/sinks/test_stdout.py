from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.payload import encode_payload
from rfctl.sinks.stdout.config import StdoutConfig
from rfctl.sinks.stdout.sink import Stdout
from tests.unit.sinks.http.test_sink import message


def stdout() -> Stdout:
    return Stdout("log", StdoutConfig(type="stdout"))


class Recorder(io.RawIOBase):
    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.writes.append(bytes(data))
        return len(data)


def stream(raw: io.RawIOBase) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(raw, 1 << 20), encoding="ascii")


async def test_a_message_is_one_line_of_json_and_is_there_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(sys, "stdout", stream(recorder))
    sink = stdout()
    await sink.open()
    await sink.deliver(message())
    assert recorder.writes == [encode_payload(message()) + b"\n"]
    await sink.close()
    assert not sys.stdout.closed


async def test_deliveries_side_by_side_make_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(sys, "stdout", stream(recorder))
    sink, ids = stdout(), [f"{number}-0" for number in range(50)]
    await asyncio.gather(*(sink.deliver(Delivery(name, message("x" * 9_000).merged)) for name in ids))
    assert len(recorder.writes) == 50
    assert [json.loads(line)["messageId"] for line in b"".join(recorder.writes).splitlines()] == ids


async def test_a_message_written_over_several_lines_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(sys, "stdout", stream(recorder))
    raw = b'{"message":"a\\nb",\r\n "metadata":{"big":\n 123456789012345678901234567890, "none": [ ]}}'
    await stdout().deliver(message(raw=(raw,)))
    [line] = b"".join(recorder.writes).splitlines()
    assert json.loads(line) == json.loads(encode_payload(message(raw=(raw,))))
    assert b"123456789012345678901234567890" in line


async def test_a_pipe_that_nobody_reads_any_more_pauses_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    piped = io.TextIOWrapper(io.BufferedWriter(io.FileIO(writer, "wb")))
    monkeypatch.setattr(sys, "stdout", piped)
    with pytest.raises(DeliveryError) as caught:
        await stdout().deliver(message())
    assert (caught.value.fact, caught.value.pause) == ("standard output is closed", True)
    with pytest.raises(BrokenPipeError):
        piped.close()


async def test_a_standard_output_that_is_not_there_pauses_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = stream(Recorder())
    closed.close()
    for gone in (closed, None):
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(DeliveryError) as caught:
            await stdout().deliver(message())
        assert caught.value.pause


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
async def test_a_full_disk_is_a_failure_that_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    full = io.TextIOWrapper(io.BufferedWriter(io.FileIO("/dev/full", "wb")))
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(DeliveryError) as caught:
        await stdout().deliver(message())
    assert caught.value.fact == "standard output takes nothing: No space left on device"
    assert not caught.value.pause
    with pytest.raises(OSError):
        full.close()
