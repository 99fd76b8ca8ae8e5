"""What the document shows of a source's requests is what the source takes, and has nothing of the settings' secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.config.toml_text import render_toml_section
from rfctl.ingest.openapi import build_document
from rfctl.sources.contract import Request, ServedSource
from rfctl.sources.presets import list_presets
from rfctl.sources.registry import SPECS

FORM = "application/x-www-form-urlencoded"
SECRET, ACCOUNT = "hushhushhush", "15557654321"
SETTINGS: dict[str, dict[str, Any]] = {
    **{kind: {"type": kind} for kind in SPECS},
    **{f"preset {name}": {"preset": name} for name in list_presets()},
    "behind a proxy": {"type": "twilio", "public_path": "/hooks/sms"},
    "standard webhooks": {"type": "generic", "auth": "standard-webhooks"},
    "token in the query": {"type": "waha", "auth": {"type": "token", "query": "key"}},
    "key in hex": {"type": "waha", "auth": {"type": "hmac", "header": "X-Sign", "secret_encoding": "hex"}},
    "basic": {"type": "waha", "auth": "basic"},
    "jwt": {"type": "telegram", "auth": "jwt"},
    "list of messages": {"type": "generic", "map": {"each": "*", "phone": "a", "text": "b", "id": "c"}},
}
_SECRETS = {
    "standard webhooks": "whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNo",
    "key in hex": "68757368687573686875736868757368",
}


def find_secret(name: str) -> str:
    """Return a secret as these settings want it: a user with a password goes for all but those of Telegram."""
    return _SECRETS.get(name, SECRET if SETTINGS[name].get("type") == "telegram" else f"user:{SECRET}")


def serve(tmp_path: Path, settings: dict[str, Any], secret: str) -> ServedSource:
    table = {"public_url": "https://bot.example.com", **settings, "secrets": [secret] if secret else []}
    file = tmp_path / "config.toml"
    file.write_text(render_toml_section("sources.here", table))
    file.chmod(0o600)
    return build_sources(load(Environment({"HOME": str(tmp_path)}), file=file).settings)["here"]


def describe(source: ServedSource) -> dict[str, Any]:
    document: dict[str, Any] = build_document({"here": source})
    validate(document)
    return document


def read_body(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the content type of a source's requests, and what is said of them."""
    [(kind, content)] = document["paths"]["/webhook/here"]["post"]["requestBody"]["content"].items()
    return kind, content


def build_request(description: str, kind: str, example: Any) -> tuple[Request, str, int]:
    """Return what the words say as a request, with the secret and the time (Unix ms)."""
    match = re.search(r"With the secret `(.+?)`, .* to POST (\S+) at (\d+) \(Unix ms\) by ", description)
    assert match, description
    secret, url, at_ms = match.groups()
    assert url.startswith("https://bot.example.com/")
    proofs = re.findall(r"`([^`]+)`", description[match.end() :])
    headers = dict(proof.split(": ", 1) for proof in proofs if proof[0] != "?")
    [query] = [proof[1:] for proof in proofs if proof[0] == "?"] or [""]
    is_form = kind == FORM
    body = urlencode(example) if is_form else json.dumps(example, ensure_ascii=False, separators=(",", ":"))
    lower = {name.lower(): value.encode() for name, value in headers.items()}
    return (
        Request("POST", "/webhook/here", query, {"content-type": kind.encode(), **lower}, body.encode()),
        secret,
        int(at_ms),
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_example_is_one_text_and_proves_itself_by_what_is_said(name: str, tmp_path: Path) -> None:
    secret = find_secret(name)
    document = describe(serve(tmp_path, SETTINGS[name], secret))
    kind, content = read_body(document)
    description = document["paths"]["/webhook/here"]["post"]["description"]
    if "The body has one of the secrets" in description:
        request = Request("POST", "/webhook/here", "", {}, json.dumps(content["example"]).encode())
        secret, at_ms = content["example"]["secret"], 0
    else:
        request, secret, at_ms = build_request(description, kind, content["example"])
    served = serve(tmp_path, SETTINGS[name], secret)
    source = served.source
    assert source.verify(request, at_ms), source.explain_rejection(request, at_ms)
    [message] = source.parse(source.open_body(request) if served.opens_bodies else request.body).messages
    assert message.phone.lstrip("+") == "79001234567"
    assert message.text in ("Hello", "Привет,")


@pytest.mark.parametrize("name", SETTINGS)
def test_example_is_of_its_schema_at_both_addresses(name: str, tmp_path: Path) -> None:
    document = describe(serve(tmp_path, SETTINGS[name], find_secret(name)))
    _, content = read_body(document)
    schema = {**content["schema"], "components": document["components"]}
    assert list(OAS31Validator(schema).iter_errors(content["example"])) == []
    other = document["paths"]["/webhook/here/{event}"]["post"]
    assert list(other["requestBody"]["content"].values()) == [content]
    assert "With the secret" not in other["description"], "its address is another, and may be signed"


@pytest.mark.parametrize("name", SETTINGS)
def test_document_has_nothing_of_the_secrets_and_accounts(name: str, tmp_path: Path) -> None:
    secret = find_secret(name)
    settings = {**SETTINGS[name], "companies": {ACCOUNT: 7}}
    text = json.dumps(describe(serve(tmp_path, settings, secret)))
    assert not [word for word in (secret, SECRET, ACCOUNT) if word in text]


def test_source_without_a_secret_says_no_proof(tmp_path: Path) -> None:
    document = describe(serve(tmp_path, {"type": "telegram"}, ""))
    assert "With the secret" not in json.dumps(document)
    assert read_body(document)[1]["example"]["message"]["text"] == "Hello"


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "generic", "map": {"phone": "from", "text": "text"}},
        {
            "type": "generic",
            "map": {"phone": "f", "text": "t", "id": "i"},
            "auth": {"type": "hmac", "body": "sign"},
        },
    ],
    ids=["map without an id", "proof that would sign itself"],
)
def test_source_that_nobody_can_stand_in_for_has_no_example(settings: dict[str, Any], tmp_path: Path) -> None:
    document = describe(serve(tmp_path, settings, SECRET))
    assert read_body(document)[1] == {"schema": {"type": "object"}}
    assert "With the secret" not in json.dumps(document)
