"""The handshake of Meta, which others have taken over: a GET that names a token, and wants a word back. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from rfctl.sources.signing import matches_any

_CHALLENGE = re.compile(r"[0-9A-Za-z_-]{1,256}")
_MAX_QUERY_FIELDS = 50


def find_challenge(query: str, verify_token: str) -> str | None:
    """Return the challenge of a subscription that names this token; None rejects it."""
    try:
        fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS))
    except ValueError:
        return None
    token = fields.get("hub.verify_token", "").encode(errors="surrogatepass")
    is_named = bool(verify_token) and matches_any(token, (verify_token.encode(),))
    challenge = fields.get("hub.challenge", "")
    # Anything else would let a stranger have our host say anything in a browser.
    is_plain = _CHALLENGE.fullmatch(challenge) is not None
    return challenge if is_named and is_plain and fields.get("hub.mode") == "subscribe" else None
