"""The cookie of a session: read from a request, and written into an answer."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.ingest.head import Head
from rfctl.page.sessions import LIFETIME_S

SESSION = "rfctl_session"


def list_session_words(head: Head) -> Iterator[str]:
    """Yield each value of the cookie: another program on this host may have set one of the same name."""
    for name, value in head.fields:
        if name == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, word = pair.strip().partition("=")
                if key == SESSION:
                    yield word


def render_cookie(word: str, *, is_https: bool) -> str:
    """Return the header that has a browser keep a session; without a word it forgets it."""
    secure = "; Secure" if is_https else ""
    age_s = LIFETIME_S if word else 0
    return f"{SESSION}={word}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"


def is_https(head: Head) -> bool:
    """Say whether the browser speaks https, as a proxy says."""
    proto = head.find_value(b"x-forwarded-proto").partition(b",")[0].strip().lower()
    return proto == b"https" or b"proto=https" in head.find_value(b"forwarded").lower()
