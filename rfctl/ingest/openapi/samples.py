"""What the document shows of the requests of a source, as the stand-in of its provider writes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from rfctl.ingest.openapi.examples import EXAMPLES
from rfctl.ingest.openapi.operations import FORM
from rfctl.ingest.openapi.shapes import Schema
from rfctl.sources.contract import Request, Sample, ServedSource


def build_sample_content(source: ServedSource) -> Schema:
    """Return the schema of what a provider sends, with an example where one can be written."""
    sample = source.write_sample(b"")
    if sample is None:
        return {"schema": {"type": "object"}}
    example = _decode(sample.request)
    return {"schema": {"type": "array" if isinstance(example, list) else "object"}, "example": example}


def say_proof(source: ServedSource) -> str:
    """Return by what the example of a source proves itself, in a sentence; "" where it needs no proof, or has none.

    Whoever writes a sender can compare it with their own. The secret is made up.
    """
    sample = source.write_sample(msgspec.json.encode(EXAMPLES["GenericRequest"]) if source.in_words else b"")
    if sample is None or not sample.secret:
        return ""
    parts = [f"`{name}: {value}`" for name, value in _list_headers(source, sample)]
    parts += [f"`?{sample.request.query}`"] if sample.request.query else []
    if not parts:
        return ""
    form = "" if _is_form(sample.request) else ", as JSON in UTF-8 without spaces,"
    return (
        f"With the secret `{sample.secret}`, the example{form} proves itself to POST {sample.url} at "
        f"{sample.at_ms} (Unix ms) by {' and '.join(parts)}."
    )


def _list_headers(source: ServedSource, sample: Sample) -> list[tuple[str, str]]:
    """Return the headers that a sender adds for its proof, each name as the settings write it."""
    names = {name.lower(): name for parts in source.proofs for kind, name in parts if kind != "query"}
    headers = {
        name: value.decode() for name, value in sample.request.headers.items() if name != "content-type"
    }
    return [(names.get(name, name.title()), value) for name, value in headers.items()]


def _decode(request: Request) -> Any:
    return dict(parse_qsl(request.body.decode())) if _is_form(request) else msgspec.json.decode(request.body)


def _is_form(request: Request) -> bool:
    return request.header("content-type") == FORM.encode()
