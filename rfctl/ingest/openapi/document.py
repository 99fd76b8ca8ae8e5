"""Writes the document: each row of the table, and each source of the settings by its name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rfctl import __version__
from rfctl.ingest.openapi.examples import ERRORS, EXAMPLES, TEXTS
from rfctl.ingest.openapi.operations import (
    ALWAYS,
    JSON,
    METRICS,
    NODE_PROOF,
    OPERATIONS,
    TEXT,
    Operation,
    Parameter,
    Reply,
)
from rfctl.ingest.openapi.samples import build_sample_content, say_proof
from rfctl.ingest.openapi.shapes import Schema, build_shapes, refer_to
from rfctl.ingest.responses import RETRY_AFTER_S
from rfctl.sources.contract import ServedSource
from rfctl.sources.registry import SPECS

_NAMED = "/webhook/{name}"
_ABOUT = (
    "rfctl waits until a person has stopped typing, and hands the bot one message. These are the routes of its daemon. "
    "rfctl(7) says who may call what: without a token or a secret it is this machine alone."
)
_TAGS = (
    {"name": "webhook", "description": "What chat providers and your own programs call."},
    {"name": "admin", "description": "What operators and desks call."},
    {"name": "monitor", "description": "For whoever watches the daemon."},
)
_SCHEMES: Mapping[str, Schema] = {
    "adminToken": {"type": "http", "scheme": "bearer", "description": "http.admin_token"},
    "metricsToken": {"type": "http", "scheme": "bearer", "description": "http.metrics_token"},
    "nodeSignature": {
        "type": "apiKey", "in": "header", "name": "X-Signature",
        "description": "HMAC-SHA256, hex, over METHOD:path:timestamp:body.",
    },
    "nodeTimestamp": {
        "type": "apiKey", "in": "header", "name": "X-Timestamp",
        "description": "The time of X-Signature: Unix ms, not more than 5 minutes away from the daemon's clock.",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """What the routes of another package add: operations, the shapes and schemes that they name, and examples of shapes."""

    operations: tuple[Operation, ...] = ()
    shapes: Mapping[str, Schema] = field(default_factory=dict)
    schemes: Mapping[str, Schema] = field(default_factory=dict)
    tag: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)


NOTHING = Part()


def build_document(sources: Mapping[str, ServedSource], part: Part = NOTHING) -> Schema:
    """Return the OpenAPI document of a daemon that serves these sources, and the part of another package."""
    paths: dict[str, Schema] = {}
    examples = {**EXAMPLES, **part.examples}
    for operation in (*OPERATIONS, *part.operations):
        for path, source in _list_paths(operation, sources):
            paths.setdefault(path, {})[operation.method.lower()] = _describe(operation, source, examples)
    return {
        "openapi": "3.1.0",
        "info": {"title": "rfctl", "version": __version__, "description": _ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "tags": [*_TAGS, *([dict(part.tag)] if part.tag else [])],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**build_shapes(), **part.shapes},
            "securitySchemes": {**_list_schemes(sources), **part.schemes},
        },
    }


def _list_paths(
    operation: Operation, sources: Mapping[str, ServedSource]
) -> Iterator[tuple[str, ServedSource | None]]:
    path = operation.path.replace(":rest}", "}")
    if not path.startswith(_NAMED):
        yield path.replace("{name}", operation.action), None
        return
    for name, source in sources.items():
        yield path.replace("{name}", name), source


def _list_schemes(sources: Mapping[str, ServedSource]) -> dict[str, Schema]:
    proofs = [way for source in sources.values() for way in _list_proofs(source)]
    return {**_SCHEMES, **{name: scheme for way in proofs for name, scheme in way.items()}}


def _list_proofs(source: ServedSource) -> list[dict[str, Schema]]:
    """Return the ways in which requests of a source may prove themselves, each with the schemes that go together."""
    if source.type == "generic" and source.has_own_proof and source.verified:
        return [{name: _SCHEMES[name] for name in NODE_PROOF.split("+")}]
    ways = []
    for way, parts in enumerate(source.proofs):
        schemes: dict[str, Schema] = {}
        for part, (kind, name) in enumerate(parts):
            if scheme := _build_scheme(kind, name):
                about = f"A part of the proof of the source {source.name} (type {source.type}): see rfctl.toml(5)."
                number = f"-{way + part + 1}" if way + part else ""
                schemes[f"proof-{source.name}{number}"] = {**scheme, "description": about}
        ways += [schemes] if schemes else []
    return ways


def _build_scheme(kind: str, name: str) -> Schema:
    """Return the scheme of a part of a proof; none of what is in a body, which OpenAPI has no word for."""
    if kind in ("basic", "bearer"):
        return {"type": "http", "scheme": kind}
    return {"type": "apiKey", "in": kind, "name": name} if kind in ("header", "query") else {}


def _describe(operation: Operation, source: ServedSource | None, examples: Mapping[str, Any]) -> Schema:
    suffix = f"-{source.name}" if source else ""
    described: Schema = {
        "operationId": operation.name + suffix,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {
            str(status): _describe_reply(reply, status, {**examples, "": TEXTS.get(operation.name)})
            for status, reply in sorted({**ALWAYS, **_list_replies(operation, source)}.items())
        },
    }
    if source:
        described["description"] = _introduce(
            source, says_proof=operation.path == _NAMED and bool(operation.body)
        )
    if parameters := _list_parameters(operation, source):
        described["parameters"] = [_describe_parameter(parameter) for parameter in parameters]
    if operation.body:
        described["requestBody"] = _describe_body(operation, source, examples)
    if security := _list_security(operation, source):
        described["security"] = security
    return described


def _introduce(source: ServedSource, *, says_proof: bool) -> str:
    """Return what a source is, who may call it where no scheme says that, and how the example would prove itself."""
    proof = say_proof(source) if says_proof else ""
    return f"{_say_who(source)} {proof}".strip()


def _say_who(source: ServedSource) -> str:
    name = f"The source {source.name}, of type {source.type}."
    places = [name for parts in source.proofs for kind, name in parts if kind == "body"]
    if places:
        return f"{name} The body has one of the secrets, or a part of its proof, in {', '.join(places)}."
    return (
        name
        if source.verified or source.insecure
        else f"{name} It has no secret: this machine alone may call it."
    )


def _list_security(operation: Operation, source: ServedSource | None) -> list[Schema]:
    if source is None:
        return [{name: [] for name in way.split("+") if name} for way in operation.security]
    return [{name: [] for name in way} for way in _list_proofs(source)] if operation.security else []


def _list_replies(operation: Operation, source: ServedSource | None) -> dict[int, Reply]:
    """Return the replies of an operation, as this source gives them."""
    replies = dict(operation.replies)
    if source is None:
        return replies
    if not operation.body:
        return (
            {**replies, 403: Reply(replies[403].meaning, types=())}
            if source.handshake_hint
            else _refuse_handshake(replies)
        )
    if not source.in_words:
        replies[200] = Reply("Taken, and nothing is said of it.", types=(TEXT,) if source.answer else ())
    if source.verified and not source.in_words:
        replies[401] = Reply("The request does not prove itself. Nothing is said of it.", types=())
    return replies


def _refuse_handshake(replies: Mapping[int, Reply]) -> dict[int, Reply]:
    """Return the replies of a source without a handshake."""
    return {403: Reply("This source has no handshake.", "Problem"), 404: replies[404]}


def _list_parameters(operation: Operation, source: ServedSource | None) -> tuple[Parameter, ...]:
    """Return the parameters of an operation; a source without a handshake asks for none of its."""
    is_refused = source is not None and not operation.body and not source.handshake_hint
    return () if is_refused else operation.parameters


def _describe_reply(reply: Reply, status: int, examples: Mapping[str, Any]) -> Schema:
    described: Schema = {"description": reply.meaning}
    if reply.is_retry:
        described["headers"] = {
            "Retry-After": {
                "description": "Seconds.",
                "schema": {"type": "string", "examples": [RETRY_AFTER_S]},
            }
        }
    content = {name: _describe_content(reply, status, name, examples) for name in reply.types}
    return {**described, "content": content} if content else described


def _describe_content(reply: Reply, status: int, content_type: str, examples: Mapping[str, Any]) -> Schema:
    if not reply.shape or content_type != JSON:
        text = examples[""] if content_type.startswith("text/plain") or content_type == METRICS else None
        return {"schema": {"type": "string"}, **({"example": text} if text else {})}
    error = {"success": False, "error": ERRORS.get(status, "")}
    return {"schema": refer_to(reply.shape), "example": examples.get(reply.shape, error)}


def _describe_parameter(parameter: Parameter) -> Schema:
    about = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.meaning,
        "schema": parameter.schema,
    }
    more = {"example": parameter.example} if parameter.example else {}
    return {**about, "required": parameter.is_required or parameter.place == "path", **more}


def _describe_body(operation: Operation, source: ServedSource | None, examples: Mapping[str, Any]) -> Schema:
    if source is None or source.in_words:
        body = {"schema": refer_to(operation.body), "example": examples[operation.body]}
        return {"required": True, "content": {operation.body_type: body}}
    types = SPECS[source.type].accepts or (JSON,)
    about = f"What a provider of type {source.type} sends. What is not understood goes to the quarantine."
    content = build_sample_content(source)
    return {"description": about, "required": True, "content": dict.fromkeys(types, content)}
