"""Who may see the page, and act: this machine or, where a token is set, who has logged in or bears it."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from rfctl.ingest.access import Gate
from rfctl.ingest.head import Head
from rfctl.ingest.rejections import RejectedError
from rfctl.page.cookies import list_session_words
from rfctl.page.logouts import EndedStore, Logouts
from rfctl.page.origin import check_acts_for_itself, check_reads_for_itself
from rfctl.page.sessions import Session, Sessions

_HINT = "set http.admin_token to allow it"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `csrf` is what an action of theirs must bring; `session` is None for this machine and for bearers."""

    csrf: str
    session: Session | None = None
    is_bearer: bool = False


class Door:
    """Lets visitors in by the rules of the gate. `csrf` is the word of this process, for this machine.

    `ended` has the sessions that were ended at other daemons.
    """

    def __init__(self, gate: Gate, ended: EndedStore, csrf: str = "") -> None:
        self._gate = gate
        self._csrf = csrf or secrets.token_urlsafe(32)
        self.sessions = Sessions(gate.admin_token)
        self.logouts = Logouts(ended)

    @property
    def has_login(self) -> bool:
        """Whether visitors log in."""
        return bool(self._gate.admin_token)

    async def find_visitor(self, head: Head) -> Visitor | None:
        """Return who asks; None for somebody who must log in. Raises RejectedError where no login would help."""
        if not self.has_login:
            self._gate.check_local(head, "the page", _HINT)
            return Visitor(self._csrf)
        sessions = await self.list_sessions(head)
        if sessions:
            session = sessions[0]
            return Visitor(self.sessions.make_csrf(session), session)
        if head.find_value(b"authorization"):
            self._gate.check_admin(head)
            return Visitor(self._csrf, is_bearer=True)
        return None

    async def list_sessions(self, head: Head) -> list[Session]:
        """Return the open sessions that a request is of: one, unless a browser has two cookies of the name."""
        sessions = [self.sessions.find(word) for word in list_session_words(head)]
        return [session for session in sessions if session and not await self.logouts.contains(session)]

    async def check_reader(self, head: Head) -> Visitor:
        """Return who reads. Raises RejectedError."""
        visitor = await self.find_visitor(head)
        if visitor is None:
            fact = "log in at the page, or send Authorization: Bearer <http.admin_token>"
            raise RejectedError(fact, 401, "token")
        if not visitor.is_bearer:
            check_reads_for_itself(head)
        return visitor

    async def check_actor(self, head: Head) -> Visitor:
        """Return who acts: the page itself, or a program that bears the token. Raises RejectedError."""
        visitor = await self.check_reader(head)
        if visitor.is_bearer:
            return visitor  # no browser sends this by itself
        check_acts_for_itself(head)
        word = head.find_value(b"x-rfctl-csrf")
        if not hmac.compare_digest(word, visitor.csrf.encode()):
            fact = "X-Rfctl-Csrf is not the word of this page: GET /page/state has it as csrf"
            raise RejectedError(fact, 403, "csrf", next="load the page again")
        return visitor

    async def is_welcome(self, visitor: Visitor) -> bool:
        """Say whether somebody who was let in may stay."""
        session = visitor.session
        if session is None:
            return True
        return self.sessions.is_open(session) and not await self.logouts.contains(session)

    def has_token(self, token: str) -> bool:
        """Say whether this is the admin token, in a time that tells nothing."""
        return hmac.compare_digest(token.encode(), self._gate.admin_token.encode())
