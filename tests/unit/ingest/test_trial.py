"""A trial of a request says what the receiver would answer, for any bytes, and nothing is left out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfctl.assembly.batching import build_rules
from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.head import Head
from rfctl.ingest.receiver import Receiver
from rfctl.ingest.reception import AwaitedReception
from rfctl.ingest.responses import Answer
from rfctl.ingest.trial import Trial, TrialRun
from tests.support.recorded import ANY_JSON
from tests.support.signed_requests import sign
from tests.unit.ingest.test_receiver import FakeCounters, FakeStore

NOW_MS = 1_790_000_000_000
SETTINGS = """\
[sources.shop]
type = "generic"
secrets = ["hush"]
auth = "hmac-sha256"
auth_header = "X-Sign"
answer = "ok"
challenge = "challenge"
map = { each = "messages", phone = "from", text = "text", id = "id", own_if = "me" }
[sources.form]
type = "generic"
secrets = ["hush"]
auth = "token"
[sources.tg]
type = "telegram"
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("trial")
    file = folder / "settings.toml"
    file.write_text(SETTINGS)
    file.chmod(0o600)
    chosen = load(Environment({"HOME": str(Path(folder))}), file=file).settings
    return build_sources(chosen), build_rules(chosen)


def build_head(headers: dict[str, str]) -> Head:
    fields = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Head("POST", "/webhook/x", "/webhook/x", "", "1.1", fields, "127.0.0.1")


def try_body(parts: Any, name: str, body: bytes, headers: dict[str, str]) -> Trial:
    sources, rules = parts
    run = TrialRun(sources[name], rules, "[{type}]", 3_145_728, lambda: NOW_MS)
    return run.try_request(build_head(headers), body, with_proof=True)


async def receive(parts: Any, name: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Return what the receiver itself answers."""
    import asyncio

    store, sources = FakeStore(), parts[0]
    receiver = Receiver(
        sources, GroupCommit(store.store_messages), store, FakeCounters(), now_ms=lambda: NOW_MS  # type: ignore[arg-type]
    )  # fmt: skip
    request = AwaitedReception(
        sources[name], build_head(headers), future=asyncio.get_running_loop().create_future()
    )
    task = receiver.begin(request, body)
    answer: Answer = await request.future
    if task is not None:
        await task
    return answer


BODIES = [
    b'{"messages": [{"from": "1", "text": "a", "id": "1"}, {"from": "1", "me": true}]}',
    b'{"challenge": "word"}',
    b'{"messages": [{"from": [], "id": "1"}]}',
    b"junk",
    b"[" * 200_000,
    b'{"from": "1", "message": "hi", "messageId": "m"}',
    b'{"message": "of nobody"}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("name", ["shop", "form", "tg"])
@pytest.mark.parametrize("is_proved", [True, False])
async def test_answer_is_the_one_of_the_receiver(parts: Any, name: str, body: bytes, is_proved: bool) -> None:
    right = {"x-sign": sign("hush", body).hex(), "authorization": "hush"}
    headers = right if is_proved else {"x-sign": "00", "authorization": "other"}
    trial, answer = try_body(parts, name, body, headers), await receive(parts, name, body, headers)
    if name == "form" and answer.status == 200:  # how long a batch waits the store alone knows
        assert json.loads(trial.answer.body)["addedCount"] == json.loads(answer.body)["addedCount"]
        return
    assert trial.answer == answer
    assert bool(trial.rejected) == (answer.status != 200)


def test_proof_that_holds_and_that_does_not_are_told_apart(parts: Any) -> None:
    body = BODIES[0]
    assert try_body(parts, "shop", body, {"x-sign": sign("hush", body).hex()}).proof_fault == ""
    assert "no secret gives" in str(
        try_body(parts, "shop", body, {"x-sign": sign("x", body).hex()}).proof_fault
    )
    assert try_body(parts, "tg", body, {}).proof_fault is None


@given(raw=st.binary(max_size=60), body=ANY_JSON)
@settings(deadline=None)
def test_any_body_is_tried_and_counted(parts: Any, raw: bytes, body: Any) -> None:
    for sent in (raw, json.dumps(body).encode(), json.dumps({"messages": body}).encode()):
        for name in ("shop", "form", "tg"):
            trial = try_body(parts, name, sent, {})
            assert (
                trial.messages or trial.skipped or trial.unparsed or trial.rejected or not _has_messages(sent)
            )
            assert trial.is_good == (name == "tg" and bool(trial.messages) and not trial.unparsed)


def _has_messages(sent: bytes) -> bool:
    """Say whether a body is more than an empty list of messages."""
    return sent.strip() not in (b'{"messages": []}', b"[]")
