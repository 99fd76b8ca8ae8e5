"""The files of the page: read once, at the start. A browser keeps styles and scripts, and asks whether they are new."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response

from rfctl.page.protection import PICTURE_POLICY

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "html": "text/html; charset=utf-8",
}
_PROBLEM = b'<p class="problem" id="problem" role="alert">'
_LOGOUT, _HIDDEN_LOGOUT = b'id="logout"', b'id="logout" hidden'
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
PUBLIC = ("rfctl.css", "rfctl.js", "rfctl.svg")
"""What the login form needs too."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, its type and a tag that changes with it."""

    body: bytes
    content_type: str
    etag: str

    def build_page(self, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
        """Return it as a page, which no cache keeps."""
        return Response(self.body, status, {"Content-Type": self.content_type, **headers})

    def build_page_of_session(self) -> Response:
        """Return the page with the form that ends the session: without its script nothing else would show it."""
        return Response(
            self.body.replace(_HIDDEN_LOGOUT, _LOGOUT), headers={"Content-Type": self.content_type}
        )

    def build_page_below(self, problem: str, status: int, headers: Mapping[str, str]) -> Response:
        """Return the page of a form as the answer to that form, one step below: with the problem in words."""
        words = html.escape(problem).encode()
        body = self.body.replace(b'"page/', b'"').replace(_PROBLEM, _PROBLEM + words)
        return Response(body, status, {"Content-Type": self.content_type, **headers})

    def answer(self, request: Request) -> Response:
        """Return it as a file that a browser keeps, or say that it has not changed."""
        headers = {"Content-Type": self.content_type, "Cache-Control": "no-cache", "ETag": self.etag}
        if self.content_type == _TYPES["svg"]:
            headers["Content-Security-Policy"] = PICTURE_POLICY
        tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.etag in tags:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers)


def read_static_files() -> None:
    """Read all of them: from now on those of another version may stand in their place."""
    for name in (*PUBLIC, "index.html", "login.html"):
        read_static_file(name)


@cache
def read_static_file(name: str) -> StaticFile:
    """Return a file of the package."""
    body = (files("rfctl.page") / "static" / name).read_bytes()
    return StaticFile(body, _TYPES[name.rpartition(".")[2]], f'"{hashlib.sha256(body).hexdigest()[:20]}"')
