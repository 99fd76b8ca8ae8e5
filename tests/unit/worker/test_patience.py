"""What a worker does while Redis is away, is no master any more, or refuses it."""

from __future__ import annotations

import asyncio

import pytest
from redis import exceptions as rx

from rfctl.errors import CredentialsRefusedError, RedisUnreachableError
from rfctl.worker.patience import Patience

URL = "redis://:secret@h:1/0"


class Redis:
    """Fails with these errors, in turn, and then answers. Each call takes `takes_s` of the clock."""

    def __init__(self, *errors: Exception, takes_s: float = 1) -> None:
        self.now, self.takes_s = 0.0, takes_s
        self.errors = list(errors)
        self.hung_up = 0
        self.patience = Patience(URL, "bot", self.hang_up, lambda: self.now)

    async def hang_up(self) -> None:
        self.hung_up += 1

    async def call(self) -> str:
        self.now += self.takes_s
        if self.errors:
            raise self.errors.pop(0)
        return "an answer"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.worker.patience._PAUSE_S", 0)


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (rx.ReadOnlyError("You can't write against a read only replica."), 1),
        (rx.ResponseError("Error running script: -READONLY You can't write against a read only replica."), 1),
        (rx.MasterDownError("Link with MASTER is down"), 1),
        (rx.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), 0),
        (rx.BusyLoadingError("Redis is loading the dataset in memory"), 0),
    ],
)
async def test_server_that_is_no_master_is_left(error: Exception, times: int) -> None:
    """The address may lead to the new master; the open sockets lead to the old one for ever."""
    redis = Redis(error)
    assert await redis.patience.repeat(redis.call) == "an answer"
    assert redis.hung_up == times


async def test_silence_is_measured_from_the_last_answer() -> None:
    redis = Redis(rx.ConnectionError("gone"), rx.ConnectionError("gone"), takes_s=7)
    await redis.patience.repeat(redis.call)
    assert redis.patience.longest_silence_s == 14
    redis.patience.forget_silence()
    await redis.patience.repeat(redis.call)
    assert redis.patience.longest_silence_s == 0


async def test_patience_ends_after_a_few_seconds_more() -> None:
    redis = Redis(*[rx.ConnectionError("gone")] * 9)
    redis.patience.end()
    with pytest.raises(RedisUnreachableError, match=r"redis://\S+h:1/0: gone"):
        await redis.patience.repeat(redis.call)
    assert redis.now == 7


async def test_refusal_is_raised_at_once_and_shows_no_password() -> None:
    redis = Redis(rx.AuthenticationError("invalid password secret"))
    with pytest.raises(CredentialsRefusedError) as refusal:
        await redis.patience.repeat(redis.call)
    assert "secret" not in str(refusal.value)
    assert refusal.value.next.startswith("rfctl export acl --worker bot")


async def test_cancellation_that_redis_py_takes_for_a_timeout_ends_the_call() -> None:
    redis, began = Redis(), asyncio.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise rx.TimeoutError("Timeout reading from socket") from None

    task = asyncio.create_task(redis.patience.repeat(wait))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
