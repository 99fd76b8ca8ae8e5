"""A request with a part that is read and a part that is not: what is stored where, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from starlette.requests import Request as HttpRequest

from rfctl.errors import ReplyError
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.receiver import Receiver
from rfctl.model.message import Message, Renaming, Unparsed
from rfctl.model.stored import Added
from rfctl.sources.contract import ParseResult, Request, ServedSource, Source


class HalfRead(Source):
    """Reads one message of each body, and leaves a part unparsed."""

    def verify(self, request: Request, now_ms: int) -> bool:
        return True

    def parse(self, body: bytes) -> ParseResult:
        message = Message(phone="7", text="hello", id="1", channel="salon")
        return ParseResult([message], [Unparsed(body, "unknown")])

    def redact(self, body: bytes) -> bytes:
        return body.replace(b"sesame", b"")


class FakeStore:
    """Stores messages unless there is a problem, and is the quarantine too; `done` is what was stored, in order."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.done: list[str] = []

    async def store_messages(self, messages: Sequence[Message]) -> list[Added]:
        if self.problem is not None:
            raise self.problem
        self.done += [message.text for message in messages]
        return [Added(message.phone, added=True, size=1, due_in_ms=0) for message in messages]

    async def add(self, source: str, source_type: str, unparsed: Sequence[Unparsed]) -> None:
        self.done += [part.body.decode() for part in unparsed]


class FakeCounters:
    def add(self, counts: Any) -> None: ...

    def mark(self, name: str) -> None: ...


def build_receiver(store: FakeStore) -> Receiver:
    served = {"salon": ServedSource("salon", "generic", HalfRead())}
    commit = GroupCommit(store.store_messages)
    return Receiver(served, commit, cast(Any, store), cast(Any, FakeCounters()))


def build_request(body: bytes) -> HttpRequest:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [],
        "http_version": "1.1",
        "path": "/webhook/salon",
        "raw_path": b"/webhook/salon",
        "query_string": b"",
    }
    return HttpRequest(scope, receive)


async def test_request_that_will_come_again_is_not_in_quarantine() -> None:
    store = FakeStore(ReplyError("no", code="ERR"))
    receiver = build_receiver(store)
    for _ in range(3):
        answer = await receiver.receive("salon", build_request(b"{}"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert store.done == []


@pytest.mark.parametrize("part", [b"{}", b"[]", b"[{}]"])
async def test_body_of_a_hundred_thousand_parts_is_not_parsed(part: bytes) -> None:
    store = FakeStore()
    body = b"[" + b",".join([part] * 100_001) + b"]"
    answer = await build_receiver(store).receive("salon", build_request(body))
    assert (answer.status_code, b"objects and arrays" in answer.body, store.done) == (413, True, [])


async def test_messages_are_stored_first_and_the_rest_without_secrets() -> None:
    store = FakeStore()
    answer = await build_receiver(store).receive("salon", build_request(b'{"key":"sesame"}'))
    assert answer.status_code == 200
    assert store.done == ["hello", '{"key":""}']


class Renames(Source):
    """Reads a new second id of a person, and a message by it."""

    def verify(self, request: Request, now_ms: int) -> bool:
        return True

    def parse(self, body: bytes) -> ParseResult:
        message = Message(phone="new", text="hello", id="1", channel="salon", alias="new")
        return ParseResult([message], skipped={"event": 1}, renamings=[Renaming("salon", "new", "old")])


@pytest.mark.parametrize("problem", [None, ReplyError("no", code="ERR")])
async def test_new_id_of_a_person_comes_before_their_messages(problem: Exception | None) -> None:
    store = FakeStore()

    async def move_aliases(renamings: Sequence[Renaming]) -> None:
        if problem is not None:
            raise problem
        store.done += [f"{renaming.former} > {renaming.alias}" for renaming in renamings]

    served = {"salon": ServedSource("salon", "generic", Renames())}
    commit = GroupCommit(store.store_messages)
    receiver = Receiver(
        served, commit, cast(Any, store), cast(Any, FakeCounters()), move_aliases=move_aliases
    )
    answer = await receiver.receive("salon", build_request(b"{}"))
    assert (answer.status_code, store.done) == (
        (200, ["old > new", "hello"]) if problem is None else (503, [])
    )
