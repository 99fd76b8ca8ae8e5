"""What a request is answered with when something is said: JSON, always of one shape for a refusal."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer in JSON."""
    return Response(_encode(content), status, headers, "application/json")


def refusal(fact: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """Return the answer that says why something was refused."""
    return json_answer({"success": False, "error": fact}, status, headers)
