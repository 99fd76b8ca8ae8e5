"""The OpenAPI document: each row of its table is a route, each route has a row, and each source is described as it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from openapi_spec_validator import validate

from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.errors import BadRequestError
from rfctl.ingest.access import Gate
from rfctl.ingest.app import Webhook
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.openapi import OPERATIONS, Part, build_document
from rfctl.ingest.openapi.shapes import build_shapes
from rfctl.ingest.receiver import Receiver
from rfctl.sources.generic.node_form import Limits, list_item_types, parse_messages
from rfctl.sources.registry import SPECS
from rfctl.store.holds import LONGEST_HOLD_MS
from rfctl.timing import parse_duration_ms

SETTINGS = """
[sources.generic]
type = "generic"
[sources.signed]
type = "generic"
secrets = ["a-word-of-16-chars"]
[sources.open]
type = "telegram"
[sources.bot]
type = "telegram"
secrets = ["a-word-of-16-chars"]
[sources.meta]
type = "whatsapp-cloud"
secrets = ["a-word-of-16-chars"]
verify_token = "another-word"
[sources.sms]
type = "twilio"
secrets = ["a-word-of-16-chars"]
public_url = "https://bot.example"
[sources.mine]
type = "generic"
preset = "chatwoot"
secrets = ["a-word-of-16-chars"]
"""


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "config.toml"
    file.write_text(SETTINGS)
    return build_document(build_sources(load(Environment({"HOME": str(tmp_path)}), file=file).settings))


def build_app() -> Any:
    async def store_nothing(_: Any) -> Any:
        return []

    store: Any = Mock()
    receiver = Receiver({}, GroupCommit(store_nothing), store, store, gate=Gate())
    return Webhook(receiver, store, lambda: ("", {})).create_app()


def test_table_has_every_route_and_no_other() -> None:
    """Of this package. tests/integration/daemon/test_openapi.py asks a whole daemon, which has the page's routes too."""
    routes = [(method, route.path) for route in build_app().routes for method in route.methods - {"HEAD"}]
    assert sorted((operation.method, operation.path) for operation in OPERATIONS) == sorted(routes)


def test_names_of_operations_are_unique(document: dict[str, Any]) -> None:
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(names) == len(set(names)) > 20


def test_document_is_openapi(document: dict[str, Any]) -> None:
    validate(document)
    validate(build_document({}))
    assert document["openapi"].startswith("3.1.")


def test_validator_finds_fault_with_what_is_none(document: dict[str, Any]) -> None:
    del document["paths"]["/healthz"]["get"]["responses"]["200"]["description"]
    with pytest.raises(Exception, match="description"):
        validate(document)


def test_every_source_is_described_under_its_name(document: dict[str, Any]) -> None:
    for name in ("generic", "signed", "open", "bot", "meta", "sms", "mine"):
        assert set(document["paths"][f"/webhook/{name}"]) == {"get", "post"}
        assert set(document["paths"][f"/webhook/{name}/{{event}}"]) == {"post"}
    assert "/webhook/{name}" not in document["paths"]


def test_answers_are_those_of_the_source(document: dict[str, Any]) -> None:
    def describe(name: str, method: str = "post") -> dict[str, Any]:
        operation: dict[str, Any] = document["paths"][f"/webhook/{name}"][method]
        return operation

    def find_shape(name: str, status: str, method: str = "post") -> str:
        content: dict[str, Any] = describe(name, method)["responses"][status].get("content", {})
        references = [str(each["schema"].get("$ref", "")) for each in content.values()]
        return references[0].rpartition("/")[2] if references else ""

    assert (find_shape("generic", "200"), find_shape("generic", "401")) == ("Receipt", "Problem")
    assert (find_shape("signed", "200"), find_shape("signed", "401")) == ("Receipt", "Problem")
    assert (find_shape("bot", "200"), find_shape("bot", "401"), find_shape("open", "401")) == (
        "",
        "",
        "Problem",
    )
    assert "200" in describe("meta", "get")["responses"]
    assert "200" not in describe("bot", "get")["responses"]
    assert find_shape("bot", "403", "get") == "Problem"
    assert set(describe("sms")["requestBody"]["content"]) == {"application/x-www-form-urlencoded"}
    assert describe("signed")["security"] == [{"nodeSignature": [], "nodeTimestamp": []}]
    assert describe("bot")["security"] == [{"proof-bot": []}]
    assert "security" not in describe("open")
    scheme = document["components"]["securitySchemes"]["proof-bot"]
    assert scheme["name"].lower() == "x-telegram-bot-api-secret-token"


PROOFS: list[tuple[str, list[dict[str, str]]]] = [
    ('type = "waha"', [{"type": "apiKey", "in": "header", "name": "X-Webhook-Hmac"}]),
    (
        'type = "twilio"\npublic_url = "https://b.example"\npublic_path = "/sms"',
        [{"type": "apiKey", "in": "header", "name": "X-Twilio-Signature"}],
    ),
    ('type = "waha"\nauth = "token"\nauth_header = "X-Token"', [{"type": "apiKey", "in": "header", "name": "X-Token"}]),
    ('type = "waha"\nauth = "token"', [{"type": "http", "scheme": "bearer"}]),
    ('type = "waha"\nauth = {type = "token", query = "key"}', [{"type": "apiKey", "in": "query", "name": "key"}]),
    ('type = "waha"\nauth = "basic"', [{"type": "http", "scheme": "basic"}]),
    (
        'preset = "chatwoot"',
        [
            {"type": "apiKey", "in": "header", "name": "X-Chatwoot-Signature"},
            {"type": "apiKey", "in": "header", "name": "X-Chatwoot-Timestamp"},
        ],
    ),
    ('type = "waha"\nauth = {type = "token", body = "secret"}', []),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "schemes"), PROOFS, ids=[settings for settings, _ in PROOFS])
def test_proof_is_where_the_settings_say(
    tmp_path: Path, settings: str, schemes: list[dict[str, str]]
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[sources.mine]\n{settings}\nsecrets = ["user:a-word-of-16-chars"]\n')
    document = build_document(build_sources(load(Environment({"HOME": str(tmp_path)}), file=file).settings))
    post = document["paths"]["/webhook/mine"]["post"]
    described = [
        document["components"]["securitySchemes"][name] for way in post.get("security", []) for name in way
    ]
    assert [
        {key: value for key, value in each.items() if key != "description"} for each in described
    ] == schemes
    assert schemes or "secret" in post["description"]


def test_handshake_has_its_parameters(document: dict[str, Any]) -> None:
    names = [each["name"] for each in document["paths"]["/webhook/meta"]["get"]["parameters"]]
    assert names == ["hub.mode", "hub.verify_token", "hub.challenge"]
    assert "parameters" not in document["paths"]["/webhook/bot"]["get"]


def test_503_says_when_to_come_again(document: dict[str, Any]) -> None:
    assert "Retry-After" in document["paths"]["/healthz"]["get"]["responses"]["503"]["headers"]


def test_every_shape_that_is_named_is_there(document: dict[str, Any]) -> None:
    shapes = build_shapes()
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(shapes)
    assert set(shapes) <= names


def test_form_has_every_field_that_the_parser_knows() -> None:
    assert set(build_shapes()["GenericMessage"]["properties"]) == set(list_item_types())


def test_example_of_the_form_is_taken(document: dict[str, Any]) -> None:
    content = document["paths"]["/webhook/generic"]["post"]["requestBody"]["content"]["application/json"]
    [message] = parse_messages(json.dumps(content["example"]).encode(), Limits())
    assert (message.phone, message.id) == ("79001234567", "wamid.1")


@pytest.mark.parametrize(
    "text",
    [
        "1s",
        "90s",
        "30m",
        "2h",
        "7d",
        "30d",
        "24h",
        "0s",
        "31d",
        "720h",
        "721h",
        "43200m",
        "43201m",
        "2592000s",
        "2592001s",
        "",
        "2 h",
        "90",
    ],
)
def test_duration_that_is_described_is_taken(document: dict[str, Any], text: str) -> None:
    [schema] = [
        each["schema"]
        for each in document["paths"]["/admin/hold/{phone}"]["post"]["parameters"]
        if each["name"] == "for"
    ]
    for_ms = parse_duration_ms(text)
    is_taken = for_ms is not None and 1000 <= for_ms <= LONGEST_HOLD_MS
    is_described = bool(re.search(schema["pattern"], text))
    assert is_described == is_taken


@pytest.mark.parametrize(
    "text",
    [
        "1758000000000",
        "2026-11-29T10:00:00Z",
        "2026-11-29T10:00:00.5+03:00",
        "",
        "2026-11-30",
        "2026-13-29T10:00:00Z",
        "2026-04-31",
        "x",
    ],
)
def test_time_that_is_described_is_taken(text: str) -> None:
    schema = build_shapes()["GenericMessage"]["properties"]["timestamp"]
    is_described = bool(re.search(schema["pattern"], text))
    assert is_described == (text not in ("x", "2026-04-31", "2026-13-29T10:00:00Z"))
    body = json.dumps({"from": "7", "message": "a", "timestamp": text}).encode()
    if is_described:
        assert parse_messages(body, Limits())
    else:
        with pytest.raises(BadRequestError):
            parse_messages(body, Limits())


def test_other_rows_can_be_added() -> None:
    another = replace(OPERATIONS[-1], path="/another", name="another")
    document = build_document({}, Part((another,), {"Another": {"type": "null"}}, tag={"name": "more"}))
    assert document["paths"]["/another"]["get"]["operationId"] == "another"
    assert document["components"]["schemas"]["Another"] == {"type": "null"}
    assert document["tags"][-1] == {"name": "more"}


def test_every_type_of_source_can_be_described() -> None:
    assert {kind for kind, spec in SPECS.items() if spec.accepts} == {"twilio"}
