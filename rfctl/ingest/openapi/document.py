"""Writes the document: each row of the table, and each source of the settings by its name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rfctl import __version__
from rfctl.ingest.openapi.operations import ALWAYS, JSON, OPERATIONS, TEXT, Operation, Parameter, Reply
from rfctl.ingest.openapi.shapes import Schema, build_shapes, refer_to
from rfctl.ingest.responses import RETRY_AFTER_S
from rfctl.sources.contract import ServedSource
from rfctl.sources.registry import SPECS

_NAMED = "/webhook/{name}"
_EXAMPLE = {"from": "79001234567", "message": "Привет,", "companyId": 962302, "messageId": "wamid.1"}
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
        "description": "HMAC-SHA256, hex, over METHOD:path:timestamp:body; X-Timestamp has the Unix ms, not older than 5 minutes.",
    },
    "standardWebhooks": {
        "type": "apiKey", "in": "header", "name": "webhook-signature",
        "description": "Of Standard Webhooks: v1, and HMAC-SHA256 in base64 over webhook-id.webhook-timestamp.body.",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """What the routes of another package add to the document: operations, and the shapes and schemes that they name."""

    operations: tuple[Operation, ...] = ()
    shapes: Mapping[str, Schema] = field(default_factory=dict)
    schemes: Mapping[str, Schema] = field(default_factory=dict)
    tag: Mapping[str, str] = field(default_factory=dict)


NOTHING = Part()


def build_document(sources: Mapping[str, ServedSource], part: Part = NOTHING) -> Schema:
    """Return the OpenAPI document of a daemon that serves these sources, and the part of another package."""
    paths: dict[str, Schema] = {}
    for operation in (*OPERATIONS, *part.operations):
        for path, source in _list_paths(operation, sources):
            paths.setdefault(path, {})[operation.method.lower()] = _describe(operation, source)
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
    return {
        **_SCHEMES,
        **{name: scheme for source in sources.values() for name, scheme in _find_proof(source).items()},
    }


def _find_proof(source: ServedSource) -> dict[str, Schema]:
    """Return the scheme by which requests of a source prove themselves; none where it has no secret."""
    if not source.verified:
        return {}
    if source.type == "generic" and source.has_own_proof:
        return {name: dict(_SCHEMES[name]) for name in ("nodeSignature",)}
    header = next(iter(source.source.proof_headers), "") if source.has_own_proof else ""
    about = f"The proof of the source {source.name} (type {source.type}): see rfctl.toml(5)."
    return {
        f"proof-{source.name}": {
            "type": "apiKey",
            "in": "header",
            "name": header or "Authorization",
            "description": about,
        }
    }


def _describe(operation: Operation, source: ServedSource | None) -> Schema:
    suffix = f"-{source.name}" if source else ""
    described: Schema = {
        "operationId": operation.name + suffix,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {
            str(status): _describe_reply(reply, status)
            for status, reply in sorted({**ALWAYS, **_list_replies(operation, source)}.items())
        },
    }
    if source:
        described["description"] = f"The source {source.name}, of type {source.type}."
    if operation.parameters:
        described["parameters"] = [_describe_parameter(parameter) for parameter in operation.parameters]
    if operation.body:
        described["requestBody"] = _describe_body(operation, source)
    if security := _list_security(operation, source):
        described["security"] = security
    return described


def _list_security(operation: Operation, source: ServedSource | None) -> list[Schema]:
    if source is None:
        return [{name: [] for name in way.split("+") if name} for way in operation.security]
    return [{name: []} for name in _find_proof(source)] if operation.security else []


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


def _describe_reply(reply: Reply, status: int) -> Schema:
    described: Schema = {"description": reply.meaning}
    if reply.is_retry:
        described["headers"] = {"Retry-After": {"schema": {"type": "string", "examples": [RETRY_AFTER_S]}}}
    content = {name: _describe_content(reply, status, name) for name in reply.types}
    return {**described, "content": content} if content else described


def _describe_content(reply: Reply, status: int, content_type: str) -> Schema:
    if not reply.shape or content_type != JSON:
        return {"schema": {"type": "string"}}
    is_problem = reply.shape == "Problem"
    more = {"example": {"success": False, "error": f"why it is {status}"}} if is_problem else {}
    return {"schema": refer_to(reply.shape), **more}


def _describe_parameter(parameter: Parameter) -> Schema:
    about = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.meaning,
        "schema": parameter.schema,
    }
    more = {"example": parameter.example} if parameter.example else {}
    return {**about, "required": parameter.is_required or parameter.place == "path", **more}


def _describe_body(operation: Operation, source: ServedSource | None) -> Schema:
    if source is None or source.in_words:
        example = {"example": _EXAMPLE} if operation.body == "GenericRequest" else {}
        content: Any = {operation.body_type: {"schema": refer_to(operation.body), **example}}
        return {"required": True, "content": content}
    types = SPECS[source.type].accepts or (JSON,)
    about = f"What a provider of type {source.type} sends. What is not understood goes to the quarantine."
    return {
        "description": about,
        "required": True,
        "content": {name: {"schema": {"type": "object"}} for name in types},
    }
