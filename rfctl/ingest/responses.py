"""Responses in JSON; every error has the same shape."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode


def make_json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response in JSON."""
    return Response(_encode(content), status, headers, "application/json")


def make_error_response(fact: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """Return the response that says why a request failed."""
    return make_json_response({"success": False, "error": fact}, status, headers)
