"""What is signed, as the settings write it: `v0:{timestamp}:{body}`. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping

import msgspec

from rfctl.sources.auth.places import Place, find_path_fault
from rfctl.sources.contract import Request
from rfctl.text import did_you_mean

_SPLIT = re.compile(r"\{([^{}]*)\}")


class Signable(msgspec.Struct, frozen=True):
    """A request with what is not in it: the time of the signature as it came, and the origin that its sender calls."""

    request: Request
    timestamp: bytes = b""
    origin: str = ""

    @property
    def url(self) -> str:
        """The whole address that the sender called."""
        request = self.request
        return self.origin + request.path + (f"?{request.query}" if request.query else "")


def _sign_body_hash(signable: Signable) -> bytes:
    return hashlib.sha256(signable.request.body).digest()


_FACTS: Mapping[str, Callable[[Signable], bytes]] = {
    "body": lambda signable: signable.request.body,
    "timestamp": lambda signable: signable.timestamp,
    "url": lambda signable: signable.url.encode(errors="surrogatepass"),
    "path": lambda signable: signable.request.path.encode(errors="surrogatepass"),
    "query_string": lambda signable: signable.request.query.encode(errors="surrogatepass"),
    "method": lambda signable: signable.request.method.encode(),
    "body_sha256": lambda signable: _sign_body_hash(signable).hex().encode(),
    "body_sha256_bytes": _sign_body_hash,
}
"""What may stand between braces. Besides there are `header:NAME`, `query:NAME` and `body:PATH`."""
_KINDS = ("header", "query", "body")


def find_template_fault(text: str) -> str:
    """Return what is wrong with a text as a template; "" when nothing is."""
    if _SPLIT.sub("", text).translate({ord("{"): None, ord("}"): None}) != _SPLIT.sub("", text):
        return "has a brace without its other one"
    names = _SPLIT.findall(text)
    if not names:
        return "signs nothing of the request: write what stands in it, as in {timestamp}.{body}"
    return next(filter(None, map(_find_name_fault, names)), "")


def _find_name_fault(name: str) -> str:
    kind, colon, rest = name.partition(":")
    if colon and kind in _KINDS and rest:
        return find_path_fault(rest) if kind == "body" else ""
    if name in _FACTS:
        return ""
    near = did_you_mean(name, _FACTS) or f": {', '.join(_FACTS)}, header:NAME, query:NAME or body:PATH"
    return f"has {{{name}}}, and there is no such part{near}"


class Template(msgspec.Struct, frozen=True):
    """Texts and parts of a request, in turns: a text, a name, a text and so on."""

    pieces: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Return the template behind a text that has no fault."""
        return cls(tuple(_SPLIT.split(text)))

    def has(self, name: str) -> bool:
        """Say whether this part of a request is signed."""
        return name in self.pieces[1::2]

    def compile(self) -> Callable[[Signable], bytes]:
        """Return what makes the signed bytes of a request."""
        if self.pieces == ("", "body", ""):
            return _FACTS["body"]
        parts = [
            _build_part(piece) if place % 2 else _build_text(piece)
            for place, piece in enumerate(self.pieces)
            if piece
        ]
        return lambda signable: b"".join([part(signable) for part in parts])


def _build_text(text: str) -> Callable[[Signable], bytes]:
    encoded = text.encode()
    return lambda _signable: encoded


def _build_part(name: str) -> Callable[[Signable], bytes]:
    kind, colon, rest = name.partition(":")
    if not colon:
        return _FACTS[name]
    place = Place.parse(kind, rest)
    return lambda signable: place.read(signable.request)
