"""What every provider's source promises of its recorded payloads, and of any bytes; pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.section import build_section
from rfctl.sources.contract import Source
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.mapped import Mapped
from rfctl.sources.registry import SPECS
from tests.support.recorded import Case, cases, check, check_stored, check_unparsed, survived

KINDS = ("evolution", "green-api", "mapped", "telegram", "twilio", "waha", "whatsapp-cloud")
RECORDED = [(kind, case) for kind in KINDS for case in cases(kind)]
UNPARSED = [(kind, case) for kind, case in RECORDED if case.expected["unparsed"]]
MAPPING = {"each": "list", "phone": "from", "text": "text", "id": "id"}


def source_of(kind: str, mapping: dict[str, str] | None = None) -> Source:
    settings: dict[str, object] = {"secrets": ["s"], "company": "7"}
    if kind == "mapped":
        settings |= {"type": "generic", "map": mapping or MAPPING}
        return Mapped("here", build_section(GenericConfig, settings, ""), make_id=lambda: "made")
    settings |= {"public_url": "https://bot.example.com"} if kind == "twilio" else {}
    spec = SPECS[kind]
    return spec.build_source("here", build_section(spec.config, {"type": kind, **settings}, ""), 65_536)


@pytest.mark.parametrize(("kind", "case"), RECORDED, ids=str)
def test_a_recorded_payload_is_read_as_the_table_says(kind: str, case: Case) -> None:
    reading = check(source_of(kind, case.expected.get("mapping")), case)
    assert {message.channel for message in reading.messages} <= {"here"}


@pytest.mark.parametrize(("kind", "case"), RECORDED, ids=str)
def test_a_message_goes_through_its_stored_form_unharmed(kind: str, case: Case) -> None:
    check_stored(source_of(kind, case.expected.get("mapping")).parse(case.body))


@pytest.mark.parametrize(("kind", "case"), RECORDED, ids=str)
def test_a_redacted_payload_is_read_as_before(kind: str, case: Case) -> None:
    source = source_of(kind, case.expected.get("mapping"))
    assert source.parse(source.redact(case.body)) == source.parse(case.body)


@pytest.mark.parametrize(("kind", "case"), UNPARSED, ids=str)
def test_unparsed_part_can_be_parsed_again_alone(kind: str, case: Case) -> None:
    source = source_of(kind, case.expected.get("mapping"))
    check_unparsed(source, source.parse(case.body))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mapped"])
def test_a_message_is_the_companys_whose_source_it_is(kind: str) -> None:
    source = source_of(kind)
    read = [item.company for case in cases(kind) for item in source.parse(case.body).messages]
    assert set(read) == {"7"}


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_read_or_unparsed_or_not_understood(kind: str, body: bytes) -> None:
    survived(source_of(kind), body)
