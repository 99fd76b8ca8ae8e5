"""The scripts against a model, on fakeredis: hundreds of random conversations in the time of one real one."""

from __future__ import annotations

from typing import Any

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from rfctl.model.company import Company
from rfctl.model.message import Message
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.clock import FakeredisClock

messages = st.tuples(
    st.sampled_from(["79001234567", "a b]}{*", "rfctl:due"]),
    st.sampled_from(["x", 'a","companyId":"b', "\\", "🙏", "\0"]),
    st.integers(0, 30),
    st.sampled_from([None, "1", "x"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(messages, min_size=1, max_size=8), max_size=6), st.sampled_from([0, 4]))
async def test_every_message_comes_out_once_in_order_and_never_mixed(calls: Any, shards: Any) -> None:
    connection = Connection(
        fakeredis.FakeAsyncRedis(protocol=2),
        RedisAddress("fake", "the test"),
        clock=FakeredisClock(),
        shebang=False,
    )
    batches = make_rig(connection, shards, max_size=4)
    model: dict[tuple[str, Company, str], str] = {}
    for call in calls:
        sent = [
            Message(phone=p, text=t, id=str(i), channel="generic", company=c, id_scope=(p, c or ""))
            for p, t, i, c in call
        ]
        results = await batches.add(sent)
        for message, result in zip(sent, results, strict=True):
            key = (message.phone, message.company, message.id)
            assert result.added == (key not in model)
            model.setdefault(key, message.text)
    while (await batches.drain("shutdown")).more:
        pass
    merged = await batches.collect()
    out = [((batch.phone, batch.company, m.messageId), m.text) for batch in merged for m in batch.messages]
    assert dict(out) == model
    assert len(out) == len(model)
    for phone in {key[0] for key in model}:
        assert [key for key, _ in out if key[0] == phone] == [key for key in model if key[0] == phone]
    for batch in merged:
        assert batch.count == len(batch.messages) <= 4
        assert batch.text == " ".join(m.text for m in batch.messages)
        assert len({m.companyId for m in batch.messages}) == 1
    await connection.close()
