"""Looks at Redis are shared, and made only while somebody watches; who is slow takes no memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from rfctl.errors import RedisUnreachableError
from rfctl.ingest.rejections import RejectedError
from rfctl.page.sampler import MAX_VIEWERS, Sampler
from rfctl.page.viewers import EventStream, Viewer
from tests.support.waiting import until


class Eyes:
    """Counts the looks; while `problem` is set they fail."""

    def __init__(self) -> None:
        self.looks = 0
        self.problem: Exception | None = None

    async def look(self) -> dict[str, int]:
        self.looks += 1
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
        return {"looks": self.looks}


@pytest.fixture
def eyes() -> Eyes:
    return Eyes()


async def test_nobody_looks_while_nobody_watches(eyes: Eyes) -> None:
    sampler = Sampler(eyes.look, every_s=0.01)
    viewer = sampler.join()
    await until(lambda: eyes.looks > 2)
    sampler.leave(viewer)
    await until(lambda: sampler._loop is not None and sampler._loop.done())
    looks = eyes.looks
    assert await sampler.read()
    assert eyes.looks <= looks + 1
    again = sampler.join()
    assert b'"looks"' in await again.wait_for_event()
    sampler.stop()


async def test_outage_began_before_its_first_viewer_came(eyes: Eyes) -> None:
    silence_ms = 7_200_000
    sampler = Sampler(eyes.look, every_s=0.0, measure_silence_ms=lambda: silence_ms)
    eyes.problem = RedisUnreachableError("nothing answers")
    first = (await sampler.read()).outage
    assert first is not None
    assert 7_200_000 <= time.time() * 1000 - first.since_ms < 7_260_000
    silence_ms = 0
    assert (await sampler.read()).outage == first, "it goes on"
    sampler._looked_at -= 60
    later = (await sampler.read()).outage
    assert later is not None
    assert later.since_ms > first.since_ms, "nobody looked for a while, and Redis had come back"


async def test_all_share_a_look(eyes: Eyes) -> None:
    sampler = Sampler(eyes.look, every_s=60)
    viewers = [sampler.join() for _ in range(3)]
    events = [await viewer.wait_for_event() for viewer in viewers]
    moments = await asyncio.gather(*(sampler.read() for _ in range(5)))
    assert eyes.looks == 1
    assert events == [b'event: state\ndata: {"overview":{"looks":1}}\n\n'] * 3
    assert {moment.overview for moment in moments} == {b'{"looks":1}'}
    sampler.stop()


async def test_outage_is_an_event_with_its_beginning_and_ends(eyes: Eyes) -> None:
    sampler = Sampler(eyes.look, every_s=0.01)
    viewer = sampler.join()
    assert (await viewer.wait_for_event()).startswith(b"event: state\n")
    eyes.problem = RedisUnreachableError("nothing answers")
    first = await until(lambda: _wait_for(viewer, b"event: outage\n"))
    looks = eyes.looks
    await until(lambda: eyes.looks > looks + 2)
    assert await viewer.wait_for_event() == first, "the outage began when it began"
    assert b'{"fact":"nothing answers","since_ms":' in first
    moment = await sampler.read()
    assert moment.overview, "what was seen last is still there"
    eyes.problem = None
    await until(lambda: _wait_for(viewer, b"event: state\n"))
    assert (await sampler.read()).outage is None
    sampler.stop()


async def _wait_for(viewer: Viewer, beginning: bytes) -> bytes:
    event = await viewer.wait_for_event()
    return event if event.startswith(beginning) else b""


async def test_bug_is_logged_once_and_ends_no_stream(eyes: Eyes) -> None:
    sampler = Sampler(eyes.look, every_s=0.01)
    eyes.problem = ZeroDivisionError("x")
    with capture_logs() as lines:
        viewer = sampler.join()
        await until(lambda: eyes.looks > 3)
    assert b"a bug in rfctl" in await viewer.wait_for_event()
    assert [line["event"] for line in lines] == ["look_failed"]
    sampler.stop()


async def test_number_of_viewers_is_bounded(eyes: Eyes) -> None:
    sampler = Sampler(eyes.look, every_s=60)
    viewers = [sampler.join() for _ in range(MAX_VIEWERS)]
    with pytest.raises(RejectedError, match="watch this daemon already") as caught:
        sampler.join()
    assert (caught.value.status, caught.value.reason) == (503, "viewers")
    sampler.leave(viewers[0])
    sampler.join()
    sampler.stop()


async def test_whoever_comes_after_the_stop_hears_of_it(eyes: Eyes) -> None:
    sampler = Sampler(eyes.look)
    sampler.stop()
    with pytest.raises(RejectedError, match="this daemon is stopping"):
        sampler.join()


async def test_slow_viewer_skips_and_gets_the_newest() -> None:
    viewer = Viewer()
    for number in range(1000):
        viewer.offer(b"%d" % number)
    assert await viewer.wait_for_event() == b"999"


class Client:
    """The other end of a stream. It takes `room` parts, and then no more; `leave` ends its connection."""

    def __init__(self, room: int = 1000) -> None:
        self.parts: list[dict[str, Any]] = []
        self.leave = asyncio.Event()
        self._room = room

    async def send(self, message: Any) -> None:
        if len(self.parts) >= self._room:
            await asyncio.Event().wait()
        self.parts.append(message)

    async def receive(self) -> Any:
        await self.leave.wait()
        return {"type": "http.disconnect"}


def start(
    sampler: Sampler, client: Client, is_welcome: Callable[[], bool] = lambda: True
) -> asyncio.Task[None]:
    viewer = sampler.join()

    async def may_stay() -> bool:
        return is_welcome()

    stream = EventStream(viewer, lambda: sampler.leave(viewer), may_stay)
    return asyncio.ensure_future(stream({}, client.receive, client.send))


async def test_stream_ends_whole_when_the_daemon_stops(eyes: Eyes) -> None:
    sampler, client = Sampler(eyes.look, every_s=0.01), Client()
    task = start(sampler, client)
    await until(lambda: len(client.parts) > 4)
    sampler.stop()
    await task
    assert client.parts[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    with pytest.raises(RejectedError):
        sampler.join()


async def test_client_that_takes_nothing_holds_up_no_stop(eyes: Eyes) -> None:
    sampler, client = Sampler(eyes.look, every_s=0.01), Client(room=3)
    task = start(sampler, client)
    await until(lambda: len(client.parts) == 3 and eyes.looks > 5)
    sampler.stop()
    await task
    assert not sampler._viewers


async def test_client_that_leaves_is_no_viewer_any_more(eyes: Eyes) -> None:
    sampler, client = Sampler(eyes.look, every_s=0.01), Client()
    task = start(sampler, client)
    await until(lambda: client.parts)
    client.leave.set()
    await task
    assert not sampler._viewers
    sampler.stop()


async def test_stream_ends_when_the_session_does(eyes: Eyes) -> None:
    sampler, client = Sampler(eyes.look, every_s=0.01), Client()
    is_open = True
    task = start(sampler, client, lambda: is_open)
    await until(lambda: len(client.parts) > 4)
    is_open = False
    await task
    assert client.parts[-1]["more_body"] is False
    sampler.stop()
