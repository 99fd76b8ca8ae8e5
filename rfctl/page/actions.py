"""What an operator does on the page. Each action is what the command of that name does, by the same calls to the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog

from rfctl.errors import BadRequestError, BatchHeldError
from rfctl.ingest.holds import hold_person, parse_phone, release_person, sum_up_released
from rfctl.ingest.rejections import RejectedError
from rfctl.model.message import MAX_ID_CHARS
from rfctl.model.stored import as_strict_json
from rfctl.observe.person import hold_as_json, is_batch_key
from rfctl.page.action_bodies import BatchBody, HoldBody, PauseBody, ReleaseBody, SinkBody
from rfctl.store import Store
from rfctl.text import counted

_log = structlog.get_logger("page")
_BY = "page"
_MAX_NOTE_CHARS = 500
_MAX_RESENT = 1000
"""So many dead letters are sent again for one request: the rest is for the next."""
Body = TypeVar("Body", bound=msgspec.Struct)
Answer = dict[str, Any]
_Act = Callable[[bytes], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions. `list_sinks` names the sinks that rfctl delivers to, `list_split_fields` what batching.split_by has."""

    store: Store
    list_sinks: Callable[[], Collection[str]]
    list_split_fields: Callable[[], Collection[str]]

    async def act(self, name: str, body: bytes) -> Answer:
        """Do what is asked for, and return what was done. Raises BadRequestError and RfctlError."""
        acts: Mapping[str, _Act] = {
            "hand-over": self._hand_over,
            "discard": self._discard,
            "pause": self._pause,
            "resume": self._resume,
            "resend": self._resend,
            "hold": self._hold,
            "release": self._release,
        }
        act = acts.get(name)
        if act is None:
            raise RejectedError(f"there is no action {name[:100]!r}: {', '.join(acts)}", 404, "no-path")
        return await act(body)

    async def _hand_over(self, body: bytes) -> Answer:
        batch_key = _read_batch_key(body)
        try:
            answer = await self.store.batches.flush(batch_key)
        except BatchHeldError as problem:
            raise RejectedError(f"{problem.fact}: {problem.next}", 409, "conflict") from None
        if answer is None:
            raise _no_batch()
        entry_id, count = answer
        _log.info("batch_handed_over", phone=batch_key, messages=count, by=_BY)
        done = (
            f"{counted(count, 'message')} handed over"
            if entry_id
            else "dropped: it says nothing that could be sent"
        )
        return {"done": done, "id": entry_id or None, "count": count}

    async def _discard(self, body: bytes) -> Answer:
        batch_key = _read_batch_key(body)
        items = await self.store.batches.discard(batch_key)
        if not items:
            raise _no_batch()
        _log.warning("batch_discarded", phone=batch_key, messages=len(items), by=_BY)
        messages = [msgspec.Raw(as_strict_json(item)) for item in items]
        return {
            "done": f"{counted(len(items), 'message')} discarded",
            "count": len(items),
            "messages": messages,
        }

    async def _pause(self, body: bytes) -> Answer:
        asked = _decode(body, PauseBody)
        self._check_sink(asked.sink)
        pause = (await self.store.paused_sinks.list()).get(asked.sink)
        if pause is not None:
            raise RejectedError(f"{asked.sink} is paused already: {pause.why}", 409, "conflict")
        note = asked.note[:_MAX_NOTE_CHARS] or "an operator paused it"
        await self.store.paused_sinks.pause(asked.sink, note, by=_BY)
        _log.info("deliveries_paused", sink=asked.sink, why=note, by=_BY)
        return {"done": f"{asked.sink} is paused: {note}", "sink": asked.sink}

    async def _resume(self, body: bytes) -> Answer:
        sink = _decode(body, SinkBody).sink
        if (
            sink not in await self.store.paused_sinks.list()
        ):  # one that was taken out of the settings may be paused
            self._check_sink(sink)
        was_paused = await self.store.paused_sinks.resume(sink)
        phones = sum([await self.store.deliveries(sink, shard).retry_now() for shard in self.store.shards])
        if not was_paused and not phones:
            raise RejectedError(f"{sink} is not paused, and nobody waits for a retry", 409, "conflict")
        _log.info("deliveries_resumed", sink=sink, phones=phones, by=_BY)
        retried = f"; {counted(phones, 'phone')} retried now" if phones else ""
        return {"done": f"{sink} goes on{retried}", "sink": sink, "phones_retried_now": phones}

    async def _resend(self, body: bytes) -> Answer:
        sink = _decode(body, SinkBody).sink
        self._check_sink(sink)
        letters, count, has_more = self.store.dead_letters, 0, False
        async for letter in letters.iterate(sink):
            has_more = count == _MAX_RESENT
            if has_more:
                break
            count += await letters.retry(letter)
        if not count:
            raise RejectedError(f"{sink} has no dead message", 404, "no-batch")
        _log.info("dead_letters_resent", sink=sink, messages=count, by=_BY)
        rest = ", and more are left: send again" if has_more else ""
        return {
            "done": f"{counted(count, 'message')} sent again to {sink}{rest}",
            "count": count,
            "more": has_more,
        }

    async def _hold(self, body: bytes) -> Answer:
        asked = _decode(body, HoldBody)
        name = phone = _parse_name(asked.phone)
        if is_batch_key(name):
            batch = await self.store.batches.peek(name)
            phone = name if batch is None else batch.phone
        holds = await hold_person(
            self.store, phone, self.list_split_fields(), for_text=asked.duration, by=_BY, note=asked.note,
            batch_key=name if is_batch_key(name) else "",
        )  # fmt: skip
        held = [hold_as_json(hold) for hold in holds]
        return {"done": f"held for {asked.duration}: nothing goes to the bot meanwhile", "held": held}

    async def _release(self, body: bytes) -> Answer:
        asked = _decode(body, ReleaseBody)
        batches = await release_person(
            self.store, _parse_name(asked.phone), is_discarding=asked.discard, by=_BY
        )
        facts = sum_up_released(batches, is_discarding=asked.discard)
        what = (
            f"{counted(facts['count'], 'message')} {facts['done']}"
            if facts["count"]
            else "nothing was pending"
        )
        return {**facts, "done": f"released: {what}"}

    def _check_sink(self, sink: str) -> None:
        if sink not in self.list_sinks():
            fact = f"there is no sink {sink[:100]!r} that rfctl delivers to"
            raise RejectedError(fact, 404, "no-batch")


def _decode(body: bytes, model: type[Body]) -> Body:
    try:
        return msgspec.json.decode(body, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadRequestError(f"the body cannot be read: {problem}") from None


def _parse_name(text: str) -> str:
    """Return a phone, or the batch key that stands for it. Raises BadRequestError for neither."""
    return text if is_batch_key(text) else parse_phone(text)


def _read_batch_key(body: bytes) -> str:
    batch_key = _decode(body, BatchBody).batch_key
    if not 0 < len(batch_key) <= MAX_ID_CHARS:
        raise BadRequestError("batch_key names no batch")
    return batch_key


def _no_batch() -> RejectedError:
    return RejectedError(
        "this batch is not pending any more: it was handed over or discarded", 404, "no-batch"
    )
