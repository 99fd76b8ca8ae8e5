"""A worker's consumer group in Redis: what it takes, ends and keeps alive there.

It trusts nothing to stay: Redis may go away, its clock may jump, and somebody may delete the group or everything. What
fails for a while is repeated; any call may come twice. What another attempt cannot mend is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis.asyncio
from redis import exceptions as rx
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rfctl.model.redis_url import parse_redis_url
from rfctl.worker.in_hand import Entry
from rfctl.worker.layout import Place, Places
from rfctl.worker.options import WorkerOptions, build_consumer_name
from rfctl.worker.patience import Patience
from rfctl.worker.scripts import Verb, read_script
from rfctl.worker.stream_keys import StreamKeys

Word = str | bytes | int
_notes = logging.getLogger("rfctl.worker")

_BLOCK_MS = 1000
_TIMEOUT_S = 5.0
_PAUSE_S = 0.5
_GONE_AFTER_MS = 3_600_000
_ERROR_CHARS = 500
_WORDS = {
    "missing": "was deleted from the stream before it was handled",
    "repeated": "came again, and was handled before: it is not handled twice",
    "dead": "has become a dead letter: rfctl dead list shows it",
}


class StreamGoneError(Exception):
    """A stream is gone from Redis, and no daemon writes to it any more."""


class RedisGroup:
    """The consumer group of one worker, on every shard. Its calls are repeated until Redis answers."""

    def __init__(self, options: WorkerOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self.consumer = build_consumer_name()  # here, and no earlier: two processes may have one parent
        self._clock = clock
        self._spared_until = -math.inf
        self._server_ms: float | None = None
        url = parse_redis_url(options.url).url
        more: dict[str, Any] = {
            "socket_connect_timeout": _TIMEOUT_S, "socket_timeout": _TIMEOUT_S, "retry": Retry(NoBackoff(), 0),
        }  # fmt: skip
        self._client = redis.asyncio.Redis.from_url(url, **more)
        self._waiting = redis.asyncio.Redis.from_url(url, **more)
        self._is_plain = False
        self._patience = Patience(options.url, options.group, self._hang_up, clock)
        self._places = Places(options, self._patience, clock)

    @property
    def places(self) -> list[Place]:
        """The streams that there are to read; none while no daemon has begun this Redis."""
        return self._places.all

    async def open(self) -> None:
        """Find the streams, and make the group where it is missing; before the first daemon has begun Redis there are none."""
        await self._places.look(self._client)
        await self.leave()

    async def keep_up(self) -> None:
        """Look every few seconds whether daemons write to other streams by now, and read these. Raises OtherLayoutError."""
        await self._places.look_again(self._client)

    def go_on_behind(self, place: Place) -> None:
        """Let the other streams have their turn before this one."""
        self._places.go_on_behind(place)

    def end_patience(self) -> None:
        """From now on a call is repeated for a few seconds only: what is not acknowledged comes again."""
        self._patience.end()

    async def close(self) -> None:
        """Close the connections, both of them also when this is cancelled meanwhile: that waits, for some seconds at most."""
        closing = asyncio.ensure_future(asyncio.gather(_close(self._client), _close(self._waiting)))
        is_cancelled = False
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                is_cancelled = True
        if is_cancelled:
            raise asyncio.CancelledError
        closing.result()

    async def _hang_up(self) -> None:
        """Use new sockets from now on: after a failover the old ones lead to the old server, and the address elsewhere."""
        for client in (self._client, self._waiting):
            with contextlib.suppress(rx.RedisError, OSError):
                await client.connection_pool.disconnect(inuse_connections=False)

    async def leave(self) -> None:
        """Remove this consumer from the group, unless it has left a message behind."""
        for place in self.places:
            with contextlib.suppress(StreamGoneError):
                await self._run("leave", place.keys, lambda: (_GONE_AFTER_MS,))

    async def take(
        self, place: Place, *, is_look: bool, in_hand: Callable[[], Iterable[bytes]] = tuple
    ) -> Entry | None:
        """Take the next message of a stream that may be handled now. `is_look`: also what other workers left.

        `in_hand` returns the batch keys of which this worker has a message of this stream in hand.
        """
        cursor = place.cursor if is_look else b""
        try:
            answer = await self._run(
                "take",
                place.keys,
                lambda: (
                    *(self._left_after_ms(), cursor, place.unordered, self._expected_ms()),
                    *(in_hand() if is_look else ()),
                ),
            )
        except StreamGoneError:
            place.cursor = b"-"
            return None
        message, cursor, place.unordered, last_id, notes, now_ms = answer
        self._note_time(float(now_ms))
        place.cursor = cursor or place.cursor
        place.last_id = (last_id or b"0-0").decode()
        _log_notes(notes)
        return _read_entry(place.keys, message)

    async def finish(
        self, entry: Entry, message_id: str, error: str, *, is_last: bool, takes_next: bool
    ) -> Entry | None:
        """End an attempt; `error` "" is success. Returns the person's next message if there is one, and it is wanted."""
        options = self._options
        end: list[Word] = [
            json.dumps(error[:_ERROR_CHARS]) if error else "",
            _flag(is_last),
            _flag(takes_next),
        ]
        about: list[Word] = [entry.batch_key, entry.id, message_id, round(options.remember_s * 1000)]
        words = (*about, *end, options.retry_after_ms, entry.attempt)
        try:
            is_ours, following, notes = await self._run("finish", entry.keys, lambda: words)
        except StreamGoneError:
            form = "message %s: its stream %s is gone from Redis: how it ended is noted nowhere"
            _notes.warning(form, message_id, entry.keys.stream)
            return None
        if not is_ours:
            _notes.warning(
                "message %s: another worker has taken it over, or it was done meanwhile", message_id
            )
        _log_notes(notes)
        return _read_entry(entry.keys, following)

    async def renew(self, keys: StreamKeys, ids: Iterable[str]) -> None:
        """Give a sign of life for messages in hand, so that nobody takes them over."""
        words = tuple(ids)
        with contextlib.suppress(StreamGoneError):  # the end of each attempt says so
            await self._run("renew", keys, lambda: words)

    async def wait_for_more(self) -> None:
        """Wait until there is a new entry in any stream, for a second at most."""
        streams: dict[Any, Any] = {place.keys.stream: place.last_id for place in self.places}
        if not streams:
            await asyncio.sleep(_PAUSE_S)
            return
        await self._patience.repeat(lambda: self._waiting.xread(streams, count=1, block=_BLOCK_MS))

    def _spare_others(self) -> None:
        """Take nothing over until the living have had the time for another sign of life."""
        self._spared_until = self._clock() + 2 * self._options.renew_every_s

    def _left_after_ms(self) -> int | str:
        if self._patience.longest_silence_s > self._options.retry_after_s / 2:
            self._patience.forget_silence()
            self._spare_others()
        return self._options.retry_after_ms if self._clock() >= self._spared_until else ""

    def _expected_ms(self) -> int | str:
        return "" if self._server_ms is None else round(self._server_ms + self._clock() * 1000)

    def _note_time(self, now_ms: float) -> None:
        """Note the server's time. Where its clock has jumped ahead, every sign of life looks old."""
        between = now_ms - self._clock() * 1000
        if self._server_ms is not None and between - self._server_ms > self._options.retry_after_ms / 2:
            self._spare_others()
        self._server_ms = between

    async def _run(self, verb: Verb, keys: StreamKeys, arguments: Callable[[], Iterable[Word]]) -> Any:
        """Run a script until Redis answers, with the arguments of each moment. A group that somebody has deleted is made again.

        Raises StreamGoneError where no daemon writes to that stream any more.
        """
        options = self._options
        fixed = (options.group, self.consumer, _flag(keys.is_own), options.max_attempts)
        while True:
            try:
                return await self._patience.repeat(
                    lambda: self._evaluate(verb, keys.all, (*fixed, *arguments()))
                )
            except rx.ResponseError as problem:
                if not any(word in str(problem) for word in ("NOGROUP", "no such key")):
                    raise
                await self._make_again(keys)

    async def _make_again(self, keys: StreamKeys) -> None:
        if keys not in await self._places.look(self._client):
            self._places.drop(keys)
            raise StreamGoneError
        _notes.warning("group %s is missing in %s: it is made again", self._options.group, keys.stream)
        await self._places.ensure_groups(self._client, [keys])

    async def _evaluate(self, verb: Verb, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        script = read_script(verb).without_shebang() if self._is_plain else read_script(verb)
        words: list[Any] = [len(keys), *keys, *arguments]
        try:
            return await self._client.evalsha(script.sha, *words)
        except rx.NoScriptError:
            await self._load(verb)
        return await self._evaluate(verb, keys, arguments)

    async def _load(self, verb: Verb) -> None:
        script = read_script(verb)
        try:
            await self._client.script_load(script.text)
        except rx.ResponseError as problem:
            if "ompil" not in str(problem):  # Redis 6.2 takes its first line for a part of the script
                raise
            self._is_plain = True
            await self._client.script_load(script.without_shebang().text)


async def _close(client: redis.asyncio.Redis) -> None:
    with contextlib.suppress(
        rx.RedisError, OSError
    ):  # the other end did not agree in time: the socket is closed all the same
        await client.aclose()


def _flag(value: bool) -> str:  # noqa: FBT001
    return "1" if value else ""


def _read_entry(keys: StreamKeys, answer: Any) -> Entry | None:
    if not answer:
        return None
    batch_key, entry_id, attempt, fields = answer
    return Entry(keys, batch_key, entry_id.decode(), int(attempt), fields)


def _log_notes(notes: Sequence[bytes]) -> None:
    words = [note.decode() for note in notes]
    for word, entry_id in zip(words[::2], words[1::2], strict=True):
        _notes.warning("message %s %s", entry_id, _WORDS[word])
