"""Logging in with the admin token, and out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import structlog
from starlette.requests import Request
from starlette.responses import Response

from rfctl.errors import BadRequestError
from rfctl.ingest.bodies import BodyBudget, HeldBody
from rfctl.ingest.head import Head, read_head
from rfctl.ingest.rejections import RejectedError, Rejections
from rfctl.ingest.tries import Tries, find_forwarded, name_client
from rfctl.page.cookies import is_https, render_cookie
from rfctl.page.door import Door
from rfctl.page.origin import check_form
from rfctl.page.static_files import read_static_file

_log = structlog.get_logger("page")
_MAX_FORM_BYTES = 8192
_Take = Callable[[Request, Head], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Login:
    """The endpoints of the form. Wrong tokens are bounded; `budget` has room for bodies."""

    door: Door
    budget: BodyBudget
    rejections: Rejections
    tries: Tries = field(default_factory=Tries)

    async def log_in(self, request: Request) -> Response:
        """Take the form's token, and begin a session. A browser without JavaScript gets the form again where that fails.

        Raises RejectedError for others: the page's script has the words beside the field.
        """
        head = read_head(request.scope)
        return await self._answer_form(request, head, self._take_token)

    async def _answer_form(self, request: Request, head: Head, take: _Take) -> Response:
        try:
            return await take(request, head)
        except BadRequestError as problem:
            if not _wants_page(head):
                raise
            return self._show_form(problem, request.scope["path"])

    async def _take_token(self, request: Request, head: Head) -> Response:
        check_form(head)
        wait_s = self.tries.measure_wait_s(name_client(head))
        if wait_s:
            answer = f"too many wrong tokens came: wait {wait_s} s"
            fact = f"too many wrong tokens came; this login is from {_name_peer(head)}"
            raise RejectedError(fact, 429, "login", headers={"Retry-After": str(wait_s)}, answer=answer)
        with HeldBody(request, self.budget, _MAX_FORM_BYTES, "") as held:
            token = _read_token(await held.read())
        if not self.door.has_token(token):
            self.tries.record_failure(name_client(head))
            fact, step = (
                f"a login from {_name_peer(head)} had another token",
                "compare it with http.admin_token",
            )
            raise RejectedError(fact, 401, "login", next=step, answer="this is not the token")
        _log.info("login_accepted", peer=_name_peer(head))
        return _go_to_page({"Set-Cookie": render_cookie(self.door.sessions.open(), is_https=is_https(head))})

    def _show_form(self, problem: BadRequestError, path: str) -> Response:
        answer = self.rejections.answer_problem(problem, path)
        words = problem.answer if isinstance(problem, RejectedError) else problem.fact
        text = words[:1].upper() + words[1:] + "."
        return read_static_file("login.html").build_page_below(text, answer.status, answer.headers)

    async def log_out(self, request: Request) -> Response:
        """End the session on every daemon, and have the browser forget it. For the form of another site nothing happens.

        Raises RejectedError where Redis cannot be told; for a browser that is the form, with the problem in words.
        """
        head = read_head(request.scope)
        try:
            check_form(head)
        except RejectedError:
            return _go_to_page({})
        return await self._answer_form(request, head, self._end_sessions)

    async def _end_sessions(self, _request: Request, head: Head) -> Response:
        forgetting = {"Set-Cookie": render_cookie("", is_https=is_https(head)), "Clear-Site-Data": '"cache"'}
        sessions = await self.door.list_sessions(head)
        unsaved = [session for session in sessions if not await self.door.logouts.add(session)]
        if unsaved:
            raise _refuse_unsaved(max(session.until_s for session in unsaved), forgetting)
        return _go_to_page(forgetting)


def _wants_page(head: Head) -> bool:
    """Say whether a browser wants to show the answer: its script takes whatever comes."""
    return b"text/html" in head.find_value(b"accept").lower()


def _name_peer(head: Head) -> str:
    """Say where a login comes from, for the log. What a proxy says is not proven."""
    peer, forwarded = head.peer or "a Unix socket", find_forwarded(head)
    return f"{forwarded} by way of {peer}" if forwarded else peer


def _read_token(form: bytes) -> str:
    try:
        fields = parse_qs(form.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict")
    except ValueError:
        raise BadRequestError("the form cannot be read: send token=… as a browser does") from None
    return fields.get("token", [""])[0]


def _refuse_unsaved(until_s: int, headers: Mapping[str, str]) -> RejectedError:
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(until_s))
    answer = (
        "you are logged out here, and maybe not everywhere: Redis cannot be told now. Other daemons may take the session "
        f"until {until}, or until this daemon has told them, which it does once Redis answers"
    )
    step = "to end all sessions at once, set another http.admin_token at every daemon, and restart them"
    fact = "a logout is known to this daemon alone, as Redis cannot be told now"
    return RejectedError(fact, 503, "redis", next=step, headers=headers, answer=answer)


def _go_to_page(headers: Mapping[str, str]) -> Response:
    """Send the browser to the page: by a relative path, as a proxy may serve it below a prefix."""
    return Response(status_code=303, headers={"Location": "../", **headers})
