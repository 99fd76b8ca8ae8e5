"""The two shapes of the JSON that receivers get, and what is in it; pure. The examples in man 7 are held to it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from rfctl.model.company import Company, format_company
from rfctl.model.delivery import Delivery
from rfctl.model.message import Message
from rfctl.model.stored import decode_merged, encode_item
from rfctl.section import build_section
from rfctl.sinks.payload import Shape, encode_line, encode_payload, format_iso, render_template
from rfctl.sinks.registry import SPECS

MANUAL = Path(__file__).parents[3] / "man" / "rfctl.7"
RAW = b'{"n":1.10,"big":12345678901234567890}'


def message(text: str, id_: str, **fields: Any) -> Message:
    metadata = fields.pop("metadata", b'{"senderName":"Olga","raw":' + RAW + b"}")
    return Message(
        phone="79001234567", text=text, id=id_, channel="salon", platform="whatsapp", account="1060000", metadata=metadata,
        **{"company": 962302, **fields},
    )  # fmt: skip


def delivery(*messages: Message, text: str = "") -> Delivery:
    items = [
        encode_item(item, with_phone=False) + b',"timestamp":%d,"receivedAt":%d,"waitMs":5000}' % (at, at)
        for at, item in enumerate(messages, start=1_790_000_000_000)
    ]
    first = messages[0]
    fields = {
        "phone": first.phone, "company": format_company(first.company), "text": text or " ".join(m.text for m in messages),
        "count": str(len(messages)), "reason": "quiet", "first_ms": "1790000000000", "last_ms": "1790000000001",
        "oldest_sent_ms": "1790000000000",
        "channel": first.channel, "platform": first.platform, "account": first.account,
    }  # fmt: skip
    entry = {name: value.encode() for name, value in fields.items()} | {
        "messages": b"[" + b",".join(items) + b"]"
    }
    return Delivery("msg_5f0c9a2e41d7b36a8c20e9f4", decode_merged("1790000005001-0", entry))


TWO = delivery(message("Hello,", "wamid.1"), message("a haircut please", "wamid.2"))


def sent(shape: Shape, what: Delivery = TWO, *, raw: bool = False) -> Any:
    return json.loads(encode_payload(what, shape, raw=raw))


def test_node_shape_is_what_workers_of_the_node_service_read() -> None:
    body = sent("node")
    assert body["metadata"]["originalMessages"] == ["Hello,", "a haircut please"]
    assert " ".join(body["metadata"]["originalMessages"]) == body["message"]
    assert body["timestamp"] == "2026-09-21T14:13:25.001Z"
    assert [original["messageId"] for original in body["metadata"]["originals"]] == ["wamid.1", "wamid.2"]


def test_rfctl_shape_has_whole_messages_and_ms() -> None:
    body = sent("rfctl")
    assert [original["message"] for original in body["metadata"]["originalMessages"]] == [
        "Hello,",
        "a haircut please",
    ]
    assert body["timestamp"] == 1_790_000_005_001
    assert "originals" not in body["metadata"]


@pytest.mark.parametrize("shape", ["rfctl", "node"])
def test_oldest_time_of_sending_is_null_where_nobody_knows_it(shape: Shape) -> None:
    unknown = replace(TWO, merged=structs.replace(TWO.merged, oldest_sent_ms=None))
    assert sent(shape, unknown)["metadata"]["oldestSentMs"] is None
    assert sent(shape)["metadata"]["oldestSentMs"] == 1_790_000_000_000


@pytest.mark.parametrize("shape", ["rfctl", "node"])
@pytest.mark.parametrize("raw", [True, False])
def test_each_original_has_its_own_trace(shape: Shape, *, raw: bool) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    what = delivery(message("Hello,", "wamid.1", traceparent=trace), message("a haircut please", "wamid.2"))
    metadata = sent(shape, what, raw=raw)["metadata"]
    first, last = metadata["originals" if shape == "node" else "originalMessages"]
    assert first["traceparent"] == trace
    assert "traceparent" not in last


@pytest.mark.parametrize("shape", ["rfctl", "node"])
def test_the_providers_own_object_goes_only_to_who_asks_for_it(shape: Shape) -> None:
    assert RAW not in encode_payload(TWO, shape)
    assert b'"raw"' not in encode_payload(TWO, shape)
    assert encode_payload(TWO, shape, raw=True).count(b'"raw":' + RAW) == 3
    assert sent(shape)["metadata"]["senderName"] == "Olga"


@pytest.mark.parametrize("shape", ["rfctl", "node"])
def test_the_providers_own_object_is_known_however_its_name_is_spelled(shape: Shape) -> None:
    spelled = delivery(message("Hello,", "wamid.1", metadata=b'{"\\u0072aw":' + RAW + b',"n":1}'))
    assert RAW not in encode_payload(spelled, shape)
    assert sent(shape, spelled)["metadata"]["n"] == 1


def test_metadata_without_a_providers_object_keeps_its_bytes() -> None:
    what = delivery(message("x", "1", metadata=b'{"a": 1.50, "list":[ ]}'))
    assert b'"metadata":{"a": 1.50, "list":[ ]}' in encode_payload(what)


@pytest.mark.parametrize("shape", ["rfctl", "node"])
@pytest.mark.parametrize("company", [962302, "962302", "0123", 0, "9" * 17, 2**53 + 1, 10**40, None])
def test_company_leaves_as_it_came(shape: Shape, company: Company) -> None:
    what = delivery(message("x", "1", company=company))
    body = json.loads(encode_payload(what, shape))
    originals = body["metadata"]["originals" if shape == "node" else "originalMessages"]
    assert [body["companyId"], originals[0]["companyId"]] == [company, company]
    assert type(body["companyId"]) is type(company)
    assert render_template("q-{company}", what) == f"q-{'none' if company is None else company}"


def test_texts_of_the_node_shape_are_those_that_the_merged_one_is_made_of() -> None:
    what = delivery(
        message("helo", "1"), message("wrong", "2"), message("hello", "3", type="edit", refers="1"),
        message("", "4", type="deletion", refers="2"), message("new", "5", type="edit", refers="other"),
        text="hello new",
    )  # fmt: skip
    assert sent("node", what)["metadata"]["originalMessages"] == ["hello", "new"]


@pytest.mark.parametrize(
    ("ms", "iso"), [(0, "1970-01-01T00:00:00.000Z"), (1_790_000_000_007, "2026-09-21T14:13:20.007Z")]
)
def test_time_is_written_as_javascript_does(ms: int, iso: str) -> None:
    assert format_iso(ms) == iso


NEEDED: dict[str, dict[str, Any]] = {
    "http": {"url": "https://h"}, "list": {"key": "k"}, "bullmq": {"queue": "q"}, "celery": {"task": "a.b"},
    "rq": {"task": "a.b"}, "command": {"command": ["cat"]}, "stdout": {},
}  # fmt: skip


@pytest.mark.parametrize("type_", NEEDED)
def test_shape_is_ours_for_every_sink_but_bullmq_and_can_be_set(type_: str) -> None:
    def shape(**settings: Any) -> tuple[str, bool]:
        config: Any = build_section(SPECS[type_].config, {"type": type_, **NEEDED[type_], **settings}, "")
        return config.shape, config.raw

    assert shape() == ("node" if type_ == "bullmq" else "rfctl", False)
    assert shape(shape="rfctl", raw=True) == ("rfctl", True)
    assert shape(shape="node") == ("node", False)


def manual_example(shape: str) -> Any:
    """Return the example of a shape in man 7."""
    text = MANUAL.read_text()
    section = text[text.index(f".Ss Shape {shape}\n") :]
    literal = re.search(r"\.Bd -literal\n(.*?)\n\.Ed", section, re.DOTALL)
    assert literal is not None
    return json.loads(literal[1])


@pytest.mark.parametrize("shape", ["rfctl", "node"])
def test_manual_shows_exactly_what_is_sent(shape: Shape) -> None:
    assert manual_example(shape) == sent(shape)


def test_platform_is_the_networks_and_the_node_shape_says_whatsapp_where_nobody_knows() -> None:
    nowhere = delivery(Message(phone="7", text="x", id="1", channel="shop"))
    instagram = delivery(Message(phone="7", text="x", id="1", channel="shop", platform="instagram"))
    assert [sent(shape, nowhere)["platform"] for shape in ("rfctl", "node")] == ["", "whatsapp"]
    assert [sent(shape, instagram)["platform"] for shape in ("rfctl", "node")] == ["instagram", "instagram"]


@pytest.mark.parametrize("shape", ["rfctl", "node"])
def test_line_is_one_line_whatever_a_provider_wrote(shape: Shape) -> None:
    what = delivery(message("a\nb\u2028", "1", metadata=b'{"raw":\n{\r\n "x": "\\n"},\n"n": 1.50}'))
    for raw in (True, False):
        line = encode_line(what, shape, raw=raw)
        assert (line.count(b"\n"), line.count(b"\r"), line[-1:]) == (1, 0, b"\n")
        assert json.loads(line) == json.loads(encode_payload(what, shape, raw=raw))
    assert encode_line(TWO, shape) == encode_payload(TWO, shape) + b"\n"


def test_texts_of_the_node_shape_have_a_cut_text_in_one_piece() -> None:
    what = delivery(
        message("repl", "1", cut=True, sent_ms=1), message("acement", "2", cut=True), message("", "3", type="image"),
        message(" part", "4"), message("new", "5"), message("old", "6", cut=True), message("x", "7"),
        message("edited", "8", type="edit", refers="6"), text="replacement part new edited x",
    )  # fmt: skip
    assert sent("node", what)["metadata"]["originalMessages"] == ["replacement part", "new", "edited", "x"]
