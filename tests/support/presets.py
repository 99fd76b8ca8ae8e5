"""The bodies of gateways as files, and what each preset must make of them.

`payloads/presets/NAME/bodies.json` has the bodies of one gateway, made up in the shape that it documents:

    {"settings": {"company": 7},
     "without": {"group": "it has none"},
     "bodies": [{"case": "text", "kind": "text", "body": {...}, "expect": {"messages": [{...}]}}]}

`proofs` are requests that prove themselves with the secret `secret`, or do not: {"case": "signed", "headers": {...},
"query": "", "raw": "...", "now_ms": 1790000000000, "verified": true}. `handshakes` are GETs: {"query": "...", "answer":
"..."}, or with `raw` POSTs that prove themselves as proofs do. An answer of null is a rejection. There is a right and a
wrong one of each, or `without` says why not, under `proof`.

`settings` are keys beside `preset` and `secrets`, and may be left out. `kind` is one of KINDS, and each kind is there
unless `without` says why not. `body` is JSON, or `raw` has the text of a body that is none. `expect` has `messages` (each
with the fields that matter), `skipped` and `unparsed`; what it leaves out is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.config.toml_text import render_toml_section
from rfctl.sources.config import SourceConfig
from rfctl.sources.contract import Request, Source
from rfctl.sources.presets import list_presets
from rfctl.sources.registry import SPECS
from tests.support.recorded import FOLDER, Case

PROOF = "proof"
KINDS = ("text", "media", "group", "own", "event", "change")
"""What a gateway sends: words, a file, words in a group, our own words, what is no message, an edit or a deletion."""
_FILE = "bodies.json"


@dataclass(frozen=True)
class Gateway:
    """The bodies of one gateway."""

    preset: str
    settings: dict[str, Any]
    without: dict[str, str]
    bodies: list[dict[str, Any]]
    proofs: list[dict[str, Any]]
    handshakes: list[dict[str, Any]]

    def list_cases(self) -> Iterator[Case]:
        """Yield each body with what is expected of it."""
        for entry in self.bodies:
            body = entry["raw"].encode() if "raw" in entry else json.dumps(entry["body"]).encode()
            expected = {"messages": [], "skipped": {}, "unparsed": 0, **entry["expect"]}
            yield Case(f"{self.preset}: {entry['case']}", body, expected)


def list_gateways() -> list[Gateway]:
    """Return the bodies of every preset. Raises AssertionError where a preset has no folder, or the reverse."""
    folders = {path.parent.name: path for path in (FOLDER / "presets").glob(f"*/{_FILE}")}
    assert set(folders) == set(list_presets()), f"not in both: {sorted(set(folders) ^ set(list_presets()))}"
    return [_read_gateway(name, folders[name]) for name in sorted(folders)]


def _read_gateway(name: str, path: Path) -> Gateway:
    table = json.loads(path.read_bytes())
    lists = (table.get(key, []) for key in ("bodies", "proofs", "handshakes"))
    return Gateway(name, table.get("settings", {}), table.get("without", {}), *lists)


def load_config(gateway: Gateway, folder: Path) -> SourceConfig:
    """Return the settings of a source of this preset, as a settings file sets them."""
    path = folder / f"{gateway.preset}.toml"
    settings = {"preset": gateway.preset, "secrets": ["secret"], **gateway.settings}
    path.write_text(render_toml_section("sources.here", settings) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return load(Environment({"HOME": str(folder)}), file=path).settings.sources["here"]


def build_source(config: SourceConfig) -> Source:
    """Return the source of these settings, without what stands before it."""
    source: Source = resolve_name(SPECS[config.type].build)("here", config, 65_536)
    return source


def find_answer(source: Source, entry: dict[str, Any]) -> str | None:
    """Return what a source answers to a handshake, None where it rejects it."""
    if "raw" not in entry:
        return source.handshake(build_request(entry, "GET"))
    request = build_request(entry)
    if not source.verify(request, entry.get("now_ms", 0)):
        return None
    reply = source.parse(request.body).reply
    return None if reply is None else reply.body.decode()


def build_request(entry: dict[str, Any], method: str = "POST") -> Request:
    """Return the request of a proof or a handshake."""
    headers = {name.lower(): value.encode() for name, value in entry.get("headers", {}).items()}
    return Request(method, "/webhook/here", entry.get("query", ""), headers, entry.get("raw", "").encode())
