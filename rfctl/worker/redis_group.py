"""A worker's consumer group in Redis: what it takes, ends and keeps alive there.

It trusts nothing to stay: Redis may go away, and somebody may delete the group or everything. What fails for a while is
repeated here; any call may come twice. What another attempt cannot mend is raised.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis.asyncio
from redis import exceptions as rx
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rfctl.errors import CredentialsRefusedError, OtherLayoutError, RedisUnreachableError
from rfctl.text import hide_secrets, mask_url
from rfctl.worker.options import WorkerOptions
from rfctl.worker.scripts import Verb, read_script
from rfctl.worker.stream_keys import StreamKeys, name_streams

Answer = TypeVar("Answer")
_notes = logging.getLogger("rfctl.worker")

LAYOUT = "2"
"""The version of rfctl's data that this library reads."""
_BLOCK_MS = 1000
_TIMEOUT_S = 5.0
_PAUSE_S = 0.5
_LAST_PATIENCE_S = 5.0
_GONE_AFTER_MS = 3_600_000
_ERROR_CHARS = 500
_REFUSED = re.compile(
    r"NOAUTH|WRONGPASS|NOPERM|ACL failure in script|The user executing the script can't (?:run|access|publish)"
)
"""How Redis refuses a user, also inside a script."""
_FOR_A_WHILE = (
    rx.ConnectionError, rx.TimeoutError, rx.BusyLoadingError, rx.OutOfMemoryError, rx.ReadOnlyError, rx.MasterDownError,
    OSError,
)  # fmt: skip
_CODE_FOR_A_WHILE = re.compile(r"(?:^|: -)(?:MISCONF|BUSY|NOREPLICAS|UNBLOCKED|OOM|READONLY|MASTERDOWN)\b")
"""The codes of such errors; Redis 6.2 has them in the middle of what it says of a script."""
_WORDS = {
    "missing": "was deleted from the stream before it was handled",
    "repeated": "came again, and was handled before: it is not handled twice",
    "dead": "has become a dead letter: rfctl dead list shows it",
}


@dataclass(slots=True)
class Place:
    """How far a worker is in one stream: its looks at what is in hand, and the last entry that the group has read."""

    keys: StreamKeys
    cursor: str = "-"
    unordered: str = "-"
    last_id: str = "0-0"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in hand: where it is, its person, its attempt (from 1), and its flat fields."""

    keys: StreamKeys
    batch_key: str
    id: str
    attempt: int
    fields: Sequence[bytes]


class RedisGroup:
    """The consumer group of one worker, on every shard. Its calls are repeated until Redis answers."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        url = options.url.replace("valkey", "redis", 1) if options.url.startswith("valkey") else options.url
        more: dict[str, Any] = {
            "socket_connect_timeout": _TIMEOUT_S, "socket_timeout": _TIMEOUT_S, "retry": Retry(NoBackoff(), 0),
        }  # fmt: skip
        self._client = redis.asyncio.Redis.from_url(url, **more)
        self._waiting = redis.asyncio.Redis.from_url(url, **more)
        self._is_plain = False
        self._patience_s = math.inf
        self.places: list[Place] = []

    async def open(self) -> None:
        """Find the streams, and make the group where it is missing: it begins with the oldest entry that is there."""
        self.places = [Place(keys) for keys in await self.repeat(self._find_streams)]
        await self.repeat(self._ensure_groups)
        for place in self.places:
            await self._run("leave", place.keys, _GONE_AFTER_MS)

    def end_patience(self) -> None:
        """From now on a call is repeated for a few seconds only: what is not acknowledged comes again."""
        self._patience_s = _LAST_PATIENCE_S

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._waiting.aclose()

    async def leave(self) -> None:
        """Remove this consumer from the group, unless it has left a message behind."""
        for place in self.places:
            await self._run("leave", place.keys, _GONE_AFTER_MS)

    async def take(self, place: Place, *, is_look: bool) -> Entry | None:
        """Take the next message of a stream that may be handled now. `is_look`: also what other workers left."""
        retry_after, cursor = self._options.retry_after_ms, place.cursor if is_look else ""
        answer = await self._run("take", place.keys, retry_after, cursor, place.unordered)
        message, cursor, unordered, last_id, notes = answer
        place.cursor = cursor.decode() or place.cursor
        place.unordered, place.last_id = unordered.decode(), (last_id or b"0-0").decode()
        _log_notes(notes)
        return _read_entry(place.keys, message)

    async def finish(
        self, entry: Entry, message_id: str, error: str, *, is_last: bool, takes_next: bool
    ) -> Entry | None:
        """End an attempt; `error` "" is success. Returns the person's next message if there is one, and it is wanted."""
        options = self._options
        end: list[str | int] = [
            json.dumps(error[:_ERROR_CHARS]) if error else "",
            _flag(is_last),
            _flag(takes_next),
        ]
        about: list[str | int] = [entry.batch_key, entry.id, message_id, round(options.remember_s * 1000)]
        is_ours, following, notes = await self._run(
            "finish", entry.keys, *about, *end, options.retry_after_ms
        )
        if not is_ours:
            _notes.warning(
                "message %s: another worker has taken it over, or it was done meanwhile", message_id
            )
        _log_notes(notes)
        return _read_entry(entry.keys, following)

    async def renew(self, keys: StreamKeys, ids: Iterable[str]) -> None:
        """Give a sign of life for messages in hand, so that nobody takes them over."""
        await self._run("renew", keys, *ids)

    async def wait_for_more(self) -> None:
        """Wait until there is a new entry in any stream, for a second at most."""
        streams: dict[Any, Any] = {place.keys.stream: place.last_id for place in self.places}
        await self.repeat(lambda: self._waiting.xread(streams, count=1, block=_BLOCK_MS))

    async def repeat(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Call until Redis answers, and say in the log that it is away. Raises what waiting cannot mend."""
        away_since = None
        while True:
            try:
                answer = await call()
            except (rx.RedisError, OSError) as problem:
                self._raise_unless_temporary(problem)
                if away_since is None:
                    away_since = time.monotonic()
                    _notes.warning("Redis at %s: %s; waiting", self._where, self._explain(problem))
                if time.monotonic() - away_since > self._patience_s:
                    raise RedisUnreachableError(f"Redis at {self._where}: {self._explain(problem)}") from None
                await asyncio.sleep(_PAUSE_S)
            else:
                if away_since is not None:
                    _notes.warning("Redis at %s is back", self._where)
                return answer

    @property
    def _where(self) -> str:
        return mask_url(self._options.url)

    def _explain(self, problem: Exception) -> str:
        return hide_secrets(str(problem), self._options.url)

    def _raise_unless_temporary(self, problem: Exception) -> None:
        if isinstance(problem, rx.AuthenticationError | rx.NoPermissionError) or _REFUSED.search(
            str(problem)
        ):
            raise CredentialsRefusedError(
                f"Redis at {self._where} refuses the worker: {self._explain(problem)}",
                next=f"rfctl export acl --worker {self._options.group} prints the rights that it needs",
            ) from None
        if not (isinstance(problem, _FOR_A_WHILE) or _CODE_FOR_A_WHILE.search(str(problem))):
            raise problem

    async def _find_streams(self) -> list[StreamKeys]:
        """Read how this Redis is laid out, and name the streams. Before the first daemon has begun it, wait for that."""
        prefix, is_noted = self._options.prefix, False
        while not (layout := await self._read_text(f"{prefix}rfctl:shards")):
            if not is_noted:
                _notes.warning(
                    "no rfctl serve has begun Redis at %s yet (prefix %r); waiting", self._where, prefix
                )
            is_noted = True
            await asyncio.sleep(_PAUSE_S)
        shards, _, version = layout.partition("/")
        if not shards.isdigit() or version != LAYOUT:
            raise OtherLayoutError(
                f"Redis at {self._where} has layout {layout!r} of rfctl's data; this worker "
                f"reads layout {LAYOUT}",
                next="start `rfctl serve` of the worker's version once, or install that of the daemon",
            )
        output = await self._read_text(f"{prefix}rfctl:stream") or f"{prefix}rfctl:out"
        return name_streams(output, int(shards), prefix, self._options.group)

    async def _read_text(self, key: str) -> str:
        value: Any = await self._client.get(key)
        return value.decode() if value else ""

    async def _ensure_groups(self) -> None:
        for place in self.places:
            try:
                await self._client.xgroup_create(
                    place.keys.stream, self._options.group, id="0", mkstream=True
                )
            except rx.ResponseError as problem:
                if "BUSYGROUP" not in str(problem):
                    raise

    async def _run(self, verb: Verb, keys: StreamKeys, *arguments: str | int) -> Any:
        """Run a script until Redis answers. A group that somebody has deleted is made again."""
        options = self._options
        fixed = (options.group, options.consumer, _flag(keys.is_own), options.max_attempts)
        while True:
            try:
                return await self.repeat(lambda: self._evaluate(verb, keys.all, (*fixed, *arguments)))
            except rx.ResponseError as problem:
                if not any(word in str(problem) for word in ("NOGROUP", "no such key")):
                    raise
                _notes.warning("group %s is missing in %s: it is made again", options.group, keys.stream)
                await self.repeat(self._ensure_groups)

    async def _evaluate(self, verb: Verb, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
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


def _flag(value: bool) -> str:  # noqa: FBT001
    return "1" if value else ""


def _read_entry(keys: StreamKeys, answer: Any) -> Entry | None:
    if not answer:
        return None
    batch_key, entry_id, attempt, fields = answer
    return Entry(keys, batch_key.decode(errors="surrogateescape"), entry_id.decode(), int(attempt), fields)


def _log_notes(notes: Sequence[bytes]) -> None:
    words = [note.decode() for note in notes]
    for word, entry_id in zip(words[::2], words[1::2], strict=True):
        _notes.warning("message %s %s", entry_id, _WORDS[word])
