from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rfctl.errors import SettingsError
from rfctl.model.delivery import Delivery
from rfctl.section import build_section
from rfctl.sinks.command import sink as command
from rfctl.sinks.command.config import CommandConfig
from rfctl.sinks.command.sink import Command
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.payload import encode_payload
from tests.support.waiting import PATIENCE_S
from tests.unit.sinks.http.test_sink import message, open_files


def runs(*words: object, timeout_ms: int = 10_000, env: Sequence[str] = ()) -> Command:
    table = {"type": "command", "command": list(words), "timeout_ms": timeout_ms, "env": list(env)}
    return Command("bot", build_section(CommandConfig, table, "sinks.bot"))


def shell(script: str, *, timeout_ms: int = 10_000) -> Command:
    return runs("/bin/sh", "-c", script, timeout_ms=timeout_ms)


async def failure(script: str, **settings: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await shell(script, **settings).deliver(message())
    return caught.value


class Watch:
    """A pipe with a name: its end comes when the last process that holds it open has gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def next(self) -> bytes:
        """Wait for what is written, or b"" when nobody is left."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.reader, ready.set)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await ready.wait()
        finally:
            loop.remove_reader(self.reader)
        return os.read(self.reader, 100)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.reader)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Any]:
    with Watch(tmp_path / "watch") as built:
        yield built


async def test_the_program_gets_the_message_on_its_input_and_exit_0_delivers(tmp_path: Path) -> None:
    await shell(f"cat > {tmp_path}/got").deliver(message())
    assert (tmp_path / "got").read_bytes() == encode_payload(message()) + b"\n"


async def test_program_can_read_the_message_as_a_line(tmp_path: Path) -> None:
    await shell(f'read -r line && printf %s "$line" > {tmp_path}/got').deliver(message())
    assert (tmp_path / "got").read_bytes() == encode_payload(message())


async def test_program_gets_what_programs_need_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)
    needed = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/h",
        "LANG": "C.UTF-8",
        "LC_TIME": "C",
        "TZ": "UTC",
        "TMPDIR": "/tmp",
    }
    hidden = {
        "RFCTL_REDIS__URL": "redis://:geheim@h", "CREDENTIALS_DIRECTORY": "/run/credentials/rfctl.service",
        "NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "1", "AWS_SECRET_ACCESS_KEY": "geheim", "OTHER": "x",
    }  # fmt: skip
    for name, value in {**needed, **hidden, "BOT_KEY": "wanted"}.items():
        monkeypatch.setenv(name, value)
    sink = runs("/bin/sh", "-c", f"cat > /dev/null; env > {tmp_path}/got", env=["BOT_KEY", "NOT_SET"])
    await sink.deliver(Delivery("17-0", message().merged, 3))
    got = dict(line.split("=", 1) for line in (tmp_path / "got").read_text().splitlines())
    of_the_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {name: value for name, value in got.items() if name not in of_the_shell} == {
        **needed, "BOT_KEY": "wanted", "MESSAGE_ID": "17-0", "MESSAGE_ATTEMPT": "3",
    }  # fmt: skip


async def test_program_can_call_rfctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    line = f"cat > /dev/null; cd {Path(__file__).parents[3]} && {sys.executable} -m rfctl config check"
    await shell(line, timeout_ms=int(PATIENCE_S * 1000)).deliver(Delivery("17-0", message().merged, 3))


@pytest.mark.parametrize("name", ["A=b", "", "1A", "MESSAGE_ID", "a-b"])
def test_variable_that_cannot_be_passed_on_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="1 setting is wrong"):
        runs("true", env=[name])


async def test_nothing_of_the_message_is_an_argument(tmp_path: Path) -> None:
    script = f"import json, sys; json.dump(sys.argv, open({str(tmp_path / 'got')!r}, 'w'))"
    line = [sys.executable, "-c", script, "{phone}", "$(id)"]
    await runs(*line).deliver(message("; $(id) `id`"))
    assert json.loads((tmp_path / "got").read_text()) == ["-c", "{phone}", "$(id)"]


@pytest.mark.parametrize(
    ("script", "fact"),
    [
        ("exit 1", "exit status 1"),
        ("echo no >&2; printf '\\033[2J room\\n\\n' >&2; exit 75", r"exit status 75: \x1b[2J room"),
        ("printf '\\377' >&2; exit 3", "exit status 3: \ufffd"),
        ("kill -9 $$", "the program was ended by SIGKILL"),
        ("kill -40 $$", "the program was ended by signal 40"),
        ("echo out of ideas >&2; kill -TERM $$", "the program was ended by SIGTERM: out of ideas"),
    ],
)
async def test_any_other_end_is_a_failure_with_its_status_and_last_words(script: str, fact: str) -> None:
    problem = await failure(script)
    assert (problem.fact, problem.final, problem.pause) == (fact, False, False)


async def test_exit_65_refuses_the_message_for_good() -> None:
    problem = await failure("echo not a phone >&2; exit 65")
    assert (problem.fact, problem.final) == ("exit status 65: not a phone", True)


async def test_last_words_are_cut_and_a_flood_of_them_is_not_kept() -> None:
    problem = await failure("head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; exit 1")
    assert problem.fact == "exit status 1: " + "x" * 200


@pytest.mark.parametrize(("status", "taken"), [(0, True), (4, False)])
async def test_a_program_that_does_not_read_is_judged_by_its_exit(status: int, taken: bool) -> None:
    long = message("x" * 1_000_000)  # more than a pipe holds
    if taken:
        await shell(f"exec <&-; exit {status}").deliver(long)
    else:
        with pytest.raises(DeliveryError, match=f"exit status {status}"):
            await shell(f"exec <&-; exit {status}").deliver(long)


async def test_a_long_message_and_a_talkative_program_do_not_block_each_other() -> None:
    await shell("head -c 1000000 /dev/zero; cat; head -c 1000000 /dev/zero").deliver(message("x" * 1_000_000))


async def test_after_the_timeout_the_whole_group_is_asked_to_end(watch: Watch) -> None:
    script = f"(trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done) > {watch.path} & wait"
    problem = await failure(script, timeout_ms=1_000)
    assert problem.fact == "the program was not done within 1.0 s"
    assert await watch.next() == b"up\n"
    assert await watch.next() == b""


async def test_a_program_that_ignores_the_request_is_killed(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "GRACE_MS", 100)
    script = f"trap '' TERM; exec > {watch.path}; echo up; while :; do sleep 0.05; done"
    problem = await failure(script, timeout_ms=1_000)
    assert "not done within" in problem.fact
    assert await watch.next() == b"up\n"
    assert await watch.next() == b""


async def test_a_cancelled_delivery_ends_its_program(watch: Watch) -> None:
    script = f"exec > {watch.path}; echo up; sleep 60"
    delivery = asyncio.create_task(shell(script, timeout_ms=60_000).deliver(message()))
    assert await watch.next() == b"up\n"
    delivery.cancel()
    assert await watch.next() == b""
    with pytest.raises(asyncio.CancelledError):
        await delivery


async def test_a_delivery_that_is_cancelled_while_its_program_starts_ends_it(watch: Watch) -> None:
    held = os.open(
        watch.path, os.O_WRONLY
    )  # so that the end comes after all of them, however far each one got
    for turns in range(10):
        script = f"exec 3> {watch.path}; sleep 60 & sleep 60"
        delivery = asyncio.create_task(shell(script, timeout_ms=60_000).deliver(message()))
        for _ in range(turns):
            await asyncio.sleep(0)
        delivery.cancel()
        await asyncio.wait([delivery], timeout=PATIENCE_S)
        assert delivery.cancelled()
    os.close(held)
    assert await watch.next() == b""


async def test_a_delivery_that_is_cancelled_twice_kills_its_program_at_once(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "GRACE_MS", 60_000)
    script = f"exec > {watch.path}; trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"
    delivery = asyncio.create_task(shell(script, timeout_ms=60_000).deliver(message()))
    assert await watch.next() == b"up\n"
    delivery.cancel()
    assert await watch.next() == b"asked\n"
    delivery.cancel()
    assert await watch.next() == b""
    with pytest.raises(asyncio.CancelledError):
        await delivery


async def test_children_of_a_program_end_with_the_delivery(watch: Watch) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await shell(f"exec 3> {watch.path}; echo up >&3; sleep 60 & exit 0").deliver(message())
    assert await watch.next() == b"up\n"
    assert await watch.next() == b""


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid (Debian's util-linux)")
async def test_detached_child_with_our_pipe_does_not_delay_the_delivery(
    watch: Watch,
) -> None:
    started, go = watch.path.with_name("started"), watch.path.with_name("go")
    os.mkfifo(started)
    os.mkfifo(go)
    daemon = f"echo x > {started}; read x < {go}"
    async with asyncio.timeout(PATIENCE_S):
        await shell(f"exec 3> {watch.path}; setsid sh -c '{daemon}' & read x < {started}; exit 0").deliver(
            message()
        )
    go.write_text("x\n")
    assert await watch.next() == b""


def own_children() -> set[str]:
    """The processes of this one, zombies too."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_no_zombie_and_no_open_file_is_left() -> None:
    before, children = open_files(), own_children()
    for script in ("exit 0", "exit 1", "sleep 60"):
        try:
            await shell(script, timeout_ms=300).deliver(message())
        except DeliveryError:
            pass
    await asyncio.sleep(0)
    assert open_files() == before
    assert own_children() == children, "other tests of this process may have servers of theirs"


async def test_many_programs_run_side_by_side(tmp_path: Path) -> None:
    sink = shell(f"cat > {tmp_path}/$MESSAGE_ID")
    ids = [f"{number}-0" for number in range(20)]
    await asyncio.gather(*(sink.deliver(Delivery(name, message().merged)) for name in ids))
    got = {path.name: json.loads(path.read_bytes())["messageId"] for path in tmp_path.iterdir()}
    assert got == {name: name for name in ids}


async def test_a_missing_program_is_named_at_the_start_and_at_a_delivery() -> None:
    sink = runs("/nowhere/bot")
    with pytest.raises(SettingsError) as wrong:
        await sink.open()
    assert wrong.value.problems == [
        "sinks.bot.command: the program /nowhere/bot is not found, or may not be run"
    ]
    with pytest.raises(DeliveryError) as caught:
        await sink.deliver(message())
    assert caught.value.fact == "the program /nowhere/bot cannot be started: No such file or directory"
    assert not caught.value.final


async def test_a_program_on_the_path_opens_and_closes() -> None:
    sink = runs("cat")
    await sink.open()
    await sink.deliver(message())
    await sink.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "sinks.bot.command: is missing: a sink of type command needs it"),
        ([""], "sinks.bot.command: it must be a list: the program, then its arguments"),
        (["cat", "a\0b"], "sinks.bot.command: it must be a list: the program, then its arguments"),
        (["cat", None], "sinks.bot.command: write a text, in quotes"),
    ],
)
def test_a_command_that_is_no_list_of_words_is_refused(words: list[object], says: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        runs(*words)
    assert wrong.value.problems == [says]
