"""The endpoints of the page. Every answer has the headers that keep it from other sites and out of caches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from rfctl.errors import BadRequestError
from rfctl.ingest.bodies import SMALL_BYTES, BodyBudget, HeldBody
from rfctl.ingest.head import Head, read_head
from rfctl.ingest.openapi import Part
from rfctl.ingest.rejections import RejectedError, Rejections
from rfctl.ingest.responses import make_json_response
from rfctl.model.closed_sets import PageMode
from rfctl.model.message import MAX_ID_CHARS
from rfctl.observe.person import Trail, parse_person
from rfctl.page.actions import Actions
from rfctl.page.door import Door
from rfctl.page.login import Login
from rfctl.page.openapi import describe_page
from rfctl.page.protection import protect
from rfctl.page.sampler import Sampler
from rfctl.page.static_files import PUBLIC, read_static_file
from rfctl.page.viewers import EventStream

FindTrail = Callable[[str], Awaitable[Trail]]
"""Returns everything of a phone or a batch key."""
_Endpoint = Callable[[Request], Awaitable[Response]]
_READ_ONLY = "the page is read-only here: http.page = on lets it act"


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one daemon. Where `mode` is off it has no routes; `budget` has room for bodies."""

    door: Door
    sampler: Sampler
    actions: Actions
    find_trail: FindTrail
    rejections: Rejections
    budget: BodyBudget
    mode: PageMode
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)

    def list_routes(self) -> list[Route]:
        """Return the routes of the app."""
        if self.mode == "off":
            return []
        return [
            self._route("/", self.show, "GET"),
            *(self._route(f"/page/{name}", self.send_file, "GET") for name in PUBLIC),
            self._route("/page/state", self.report_state, "GET"),
            self._route("/page/events", self.stream_events, "GET"),
            self._route("/page/find", self.find, "GET"),
            self._route("/page/actions/{name}", self.act, "POST"),
            *self._list_login_routes(),
        ]

    def _list_login_routes(self) -> list[Route]:
        if not self.door.has_login:
            return []
        login = Login(self.door, self.budget, self.rejections)
        return [
            self._route("/page/login", login.log_in, "POST"),
            self._route("/page/logout", login.log_out, "POST"),
        ]

    def describe(self) -> Part:
        """Return what the OpenAPI document has of these routes."""
        return describe_page(self.mode, has_login=self.door.has_login)

    def end_streams(self) -> None:
        """End what goes on by itself: a stop does not wait for it."""
        self.sampler.stop()
        self.door.logouts.stop()

    async def show(self, request: Request) -> Response:
        """Answer with the page, or with the form to log in. Raises RejectedError."""
        head = read_head(request.scope)
        visitor = await self.door.find_visitor(head)
        if visitor is None:
            return read_static_file("login.html").build_page(401, _come_again(head))
        page = read_static_file("index.html")
        return page.build_page_of_session() if visitor.session else page.build_page()

    async def send_file(self, request: Request) -> Response:
        """Answer with a style, a script or a picture: anybody may know them."""
        return read_static_file(request.scope["path"].rpartition("/")[2]).answer(request)

    async def report_state(self, request: Request) -> Response:
        """Answer with the present overview (null before the first), and what this visitor may do. Raises RejectedError."""
        visitor = await self.door.check_reader(read_head(request.scope))
        moment = await self.sampler.read()
        state = {
            "overview": msgspec.Raw(moment.overview) if moment.overview else None,
            "outage": moment.outage,
            "may_act": self.mode == "on",
            "may_log_out": visitor.session is not None,
            "csrf": visitor.csrf,
        }
        return make_json_response(state)

    async def stream_events(self, request: Request) -> Response:
        """Answer with an overview every second, until somebody ends it. Raises RejectedError."""
        visitor = await self.door.check_reader(read_head(request.scope))
        if request.method == "HEAD":
            return Response(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        viewer = self.sampler.join()
        return EventStream(viewer, lambda: self.sampler.leave(viewer), lambda: self.door.is_welcome(visitor))

    async def find(self, request: Request) -> Response:
        """Answer with everything of `?phone=`, as `rfctl find -o json` does, and a line for each event."""
        await self.door.check_reader(read_head(request.scope))
        name = parse_person(request.query_params.get("phone", ""))
        if not 0 < len(name) <= MAX_ID_CHARS:
            raise BadRequestError("name a phone: /page/find?phone=79001234567")
        async with self._finding:  # it may read long streams
            trail = await self.find_trail(name)
        if trail.is_empty:
            fact = "nothing of this person is pending, undelivered, dead, held or in the delivery log"
            raise RejectedError(fact, 404, "no-batch")
        return make_json_response({**trail.as_json(), "timeline": _build_timeline(trail)})

    async def act(self, request: Request) -> Response:
        """Do what the page asks for. Raises RejectedError for whoever may not, and in words where nothing is there any more."""
        head = read_head(request.scope)
        await self.door.check_actor(head)
        if self.mode != "on":
            raise RejectedError(_READ_ONLY, 403, "read-only")
        if head.find_value(b"content-type").partition(b";")[0].strip().lower() != b"application/json":
            raise RejectedError("send Content-Type: application/json", 415, "content-type")
        with HeldBody(request, self.budget, SMALL_BYTES, "") as held:
            return make_json_response(await self.actions.act(request.path_params["name"], await held.read()))

    def _route(self, path: str, endpoint: _Endpoint, method: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                response = await endpoint(request)
            except ClientDisconnect:
                raise
            except Exception as problem:  # its answer needs the same headers
                response = self.rejections.answer_problem(problem, request.scope["path"]).build_response()
            return protect(response)

        return Route(path, answer, methods=[method])


def _come_again(head: Head) -> Mapping[str, str]:
    """Return the header that has a browser ask once more, for whoever comes by a link of another site.

    The cookie is not sent then, although they may have logged in: the page itself asks the next time.
    """
    is_led = head.find_value(b"sec-fetch-site") in (b"cross-site", b"same-site")
    return {"Refresh": "0"} if is_led else {}


def _build_timeline(trail: Trail) -> list[dict[str, Any]]:
    return [
        {
            **event.as_json(),
            "line": event.line,
            "outcomes": [{**outcome.as_json(), "line": outcome.line()} for outcome in event.outcomes],
        }
        for event in trail.events
    ]
