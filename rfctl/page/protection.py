"""The headers by which a browser keeps the page from other sites, and its facts out of every cache."""

from __future__ import annotations

from starlette.responses import Response

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""For a picture, which has its style within it and can load nothing."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
}


def protect(response: Response) -> Response:
    """Add to an answer the headers that it does not have yet."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
