"""The table of gateways in docs/gateways.md: what proves a request, and what was tried. It follows from the presets."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

from rfctl.sources.auth.config import Auth, BasicAuth, HmacAuth, JwtAuth, TokenAuth
from rfctl.sources.config import SourceConfig
from rfctl.sources.presets import FOLDER
from tests.support.presets import KINDS, PROOF, Gateway, list_gateways, load_config

HEAD = "| gateway | what proves a request | what was tried |\n|---|---|---|\n"
_TABLE = re.compile(re.escape(HEAD) + r"(?:\|[^\n]*\n)*")
_COMMENT = re.compile(r"# (.+?)(?:[,:(]|\.?\n|\. )")
_PAGE = re.compile(r"(?m)^# (https://[^\s,]+)")
_NOUNS = {"text": "words", "media": "files", "group": "groups", "own": "own words", "event": "events"}
_CHANGES = {"edit": "edits", "deletion": "deletions", "transcript": "transcripts"}


def gateways_text(page: str) -> str:
    """Return the page with the table of gateways made anew."""
    return _TABLE.sub(lambda _: HEAD + "".join(build_row(gateway) for gateway in list_gateways()), page)


def build_row(gateway: Gateway) -> str:
    """Return the line of a gateway."""
    with TemporaryDirectory() as folder:
        config = load_config(gateway, Path(folder))
    cells = (_describe_gateway(gateway.preset), _describe_proof(config), _describe_trials(gateway))
    return f"| {' | '.join(cells)} |\n"


def _describe_gateway(preset: str) -> str:
    text = (FOLDER / f"{preset}.toml").read_text(encoding="utf-8")
    name, address = _COMMENT.match(text), _PAGE.search(text)
    assert name, f"{preset} does not name its gateway"
    assert address, f"{preset} does not name a page"
    return f"`{preset}`: [{name[1].strip()}]({address[1]})"


def _describe_proof(config: SourceConfig) -> str:
    auth = config.find_auth()
    if auth is None:
        return f"as for `{config.type}`"
    return f"{_name_proof(auth)} in {auth.place.describe()}"


def _name_proof(auth: Auth) -> str:
    match auth:
        case TokenAuth():
            return "a token"
        case BasicAuth():
            return "user and password"
        case HmacAuth():
            signed = "the body" if auth.signed == "{body}" else f"`{auth.signed}`".replace("\n", "\\n")
            return f"HMAC-{auth.algorithm.upper()} of {signed}"
        case JwtAuth():
            return f"JWT ({auth.algorithm})"
        case _:
            assert_never(auth)


def _describe_trials(gateway: Gateway) -> str:
    kinds = [kind for kind in KINDS if any(entry["kind"] == kind for entry in gateway.bodies)]
    nouns = ", ".join(noun for kind in kinds for noun in _name_kind(gateway, kind))
    parts = [f"{len(gateway.bodies)} bodies: {nouns}"]
    if gateway.proofs:
        parts.append("proofs, right and wrong")
    if gateway.handshakes:
        parts.append("handshake")
    parts += [f"no {_name_absent(kind)} ({reason})" for kind, reason in gateway.without.items()]
    return "; ".join(parts)


def _name_kind(gateway: Gateway, kind: str) -> list[str]:
    if kind in _NOUNS:
        return [_NOUNS[kind]]
    messages = [
        item
        for entry in gateway.bodies
        if entry["kind"] == kind
        for item in entry["expect"].get("messages", ())
    ]
    types = {item.get("type") for item in messages}
    return [noun for type_, noun in _CHANGES.items() if type_ in types]


def _name_absent(kind: str) -> str:
    return "proof" if kind == PROOF else _NOUNS.get(kind, "edits or deletions")
