"""Sessions of the page: signed words that a browser keeps. No daemon remembers them, so any of several takes them.

The key comes from the admin token: another token ends all sessions.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass

LIFETIME_S = 43_200
_KEY_FOR = b"rfctl: sessions of the page"


@dataclass(frozen=True, slots=True)
class Session:
    """One login: its random id, and when it ends (Unix s by the clock of a host)."""

    id: str
    until_s: int


class Sessions:
    """Opens and knows the sessions that an admin token stands for. `clock` is Unix time, s."""

    def __init__(self, admin_token: str, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(admin_token.encode(), _KEY_FOR, "sha256")
        self._clock = clock

    def open(self) -> str:
        """Return the word of a new session."""
        until_s = int(self._clock()) + LIFETIME_S
        word = f"{until_s}.{secrets.token_urlsafe(18)}"
        return f"{word}.{self._sign('session', word)}"

    def find(self, word: str) -> Session | None:
        """Return the session of a word, None for one that is over or not ours."""
        body, _, signature = word.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        until_s, _, session_id = body.partition(".")  # only we sign, so it is a number
        session = Session(session_id, int(until_s))
        return session if self.is_open(session) else None

    def is_open(self, session: Session) -> bool:
        """Say whether the time of a session is not over yet."""
        return self._clock() < session.until_s

    def make_csrf(self, session: Session) -> str:
        """Return the word that an action of this session must bring."""
        return self._sign("csrf", session.id)

    def _sign(self, purpose: str, word: str) -> str:
        digest = hmac.digest(self._key, f"{purpose}\n{word}".encode(), "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")
