"""What the OpenAPI document says of the page's routes. A test holds it to the routes of a running daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rfctl.ingest.openapi import Operation, Part
from rfctl.ingest.openapi.operations import ADMIN, DURATION, FORM, JSON, Parameter, Reply, refuse
from rfctl.ingest.openapi.shapes import Schema, describe_types, make_list, make_object, refer_to
from rfctl.model.closed_sets import PageMode
from rfctl.model.message import MAX_ID_CHARS
from rfctl.observe.overview import Overview
from rfctl.page.action_bodies import BODIES
from rfctl.page.cookies import SESSION
from rfctl.page.sampler import Outage

HTML, EVENTS = "text/html", "text/event-stream"
_TAG = {"name": "page", "description": "The web page, and what its script calls."}
_FILES = {"rfctl.css": "text/css", "rfctl.js": "text/javascript", "rfctl.svg": "image/svg+xml"}
_SUMMARIES = {
    "hand-over": "Hand a pending batch over now.",
    "discard": "Throw a pending batch away.",
    "pause": "Let a sink wait.",
    "resume": "End the pause of a sink, and retry now what waits for an attempt.",
    "resend": "Send the dead messages of a sink again.",
    "hold": "Keep what a person writes from the bot.",
    "release": "End the hold of a person.",
}
_EXAMPLES = {
    "PageState": {"overview": None, "outage": None, "may_act": True, "may_log_out": False, "csrf": "u7Yc0ZkR"},
    "Trail": {
        "phone": "79001234567", "complete": True,
        "timeline": [{
            "at": "2026-11-29T20:46:44.435Z", "event": "handed_over",
            "line": "handed over as 1795985204435-0: 1 → 1 (quiet, waited 5.0 s): “Hi”", "outcomes": [],
        }],
    },
    "Done": {"done": "crm is paused"},
    "LastCopy": {
        "done": "1 message discarded", "count": 1, "messages": [{"message": "Hi", "receivedAt": 1795985204435}],
    },
    "GivenBack": {"done": "released: 2 messages handed over", "count": 2, "ids": ["1795536772327-0"]},
    "BatchBody": {"batch_key": "79001234567"},
    "SinkBody": {"sink": "crm"},
    "PauseBody": {"sink": "crm", "note": "moving"},
    "HoldBody": {"phone": "79001234567", "for": "2h", "note": "we talk"},
    "ReleaseBody": {"phone": "79001234567", "discard": False},
    "LoginForm": {"token": "the http.admin_token"},
}  # fmt: skip
_READS = (*ADMIN, "session")
_ACTS = ("adminToken", "session+pageWord", "pageWord")
_SCHEMES: Mapping[str, Schema] = {
    "session": {
        "type": "apiKey", "in": "cookie", "name": SESSION,
        "description": "Of POST /page/login. It lasts for hours, and no other site can use it.",
    },
    "pageWord": {
        "type": "apiKey", "in": "header", "name": "X-Rfctl-Csrf",
        "description": "csrf of GET /page/state. An Origin or a Sec-Fetch-Site must say that the page itself asks.",
    },
}  # fmt: skip
_TEXT_OF_NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_CHARS,
    "pattern": "[0-9A-Za-z]",
}
_PHONE = Parameter(
    "phone", "The person, in any spelling, or a batch key.", schema=_TEXT_OF_NAME, example="79001234567", is_required=True
)  # fmt: skip
_DONE = Reply("What was done, in words and figures.", "Done")
_DONE_BY_NAME = {
    "discard": Reply("What was thrown away. Nobody else has it any more.", "LastCopy"),
    "release": Reply(
        "What became of what came meanwhile, with the last copy of what was thrown away.", "GivenBack"
    ),
}
_SHOWN = Operation(
    "GET", "/", "show", "Show the page, or the form to log in.", "page",
    {
        200: Reply("The page.", types=(HTML,)),
        401: Reply("The form, or why no login would help.", "Problem", (HTML, JSON)),
        **refuse(403),
    },
    security=_READS,
)  # fmt: skip
_OPERATIONS = (
    _SHOWN,
    *(
        Operation(
            "GET", f"/page/{name}", f"send-{name}", "Give a file of the page.", "page",
            {200: Reply("The file.", types=(kind,)), 304: Reply("It has not changed.", types=())},
        )
        for name, kind in _FILES.items()
    ),
    Operation(
        "GET", "/page/state", "reportState", "Tell what there is now, and what this visitor may do.", "page",
        {200: Reply("The overview; null before the first.", "PageState"), **refuse(401, 403, 429)}, security=_READS,
    ),
    Operation(
        "GET", "/page/events", "streamEvents", "Tell what there is now, once a second, until the client leaves.", "page",
        {
            200: Reply("Events named state, whose data is an overview; outage, while Redis is away; here, in between.", types=(EVENTS,)),
            **refuse(401, 403, 429),
        },
        security=_READS,
    ),
    Operation(
        "GET", "/page/find", "findPerson", "Tell where a person's messages are, and what became of them.", "page",
        {200: Reply("What rfctl find says.", "Trail"), **refuse(401, 403, 404, 429)}, (_PHONE,), _READS,
    ),
    *(
        Operation(
            "POST", "/page/actions/{name}", f"act-{name}", summary, "page",
            {
                200: _DONE_BY_NAME.get(name, _DONE), **refuse(401, 403, 404, 413, 415, 429),
                409: Reply("It is done already, or cannot be done now.", "Problem"),
            },
            security=_ACTS, body=BODIES[name].__name__, action=name,
        )
        for name, summary in _SUMMARIES.items()
    ),
)  # fmt: skip
_LOGIN = (
    Operation(
        "POST", "/page/login", "logIn", "Log in with http.admin_token.", "page",
        {
            303: Reply("A session begins: its cookie is with the way to the page.", types=()),
            **{status: replace(reply, types=(HTML, JSON)) for status, reply in refuse(400, 403, 413).items()},
            401: Reply("It is another token. A browser gets the form again.", "Problem", (HTML, JSON)),
            429: Reply("Too many wrong tokens came: wait.", "Problem", (HTML, JSON), is_retry=True),
        },
        body="LoginForm", body_type=FORM,
    ),
    Operation(
        "POST", "/page/logout", "logOut", "End the session.", "page",
        {
            303: Reply("It is over, for every daemon.", types=()),
            503: Reply("It is over for this daemon, which tells the others once Redis answers.", "Problem", (HTML, JSON)),
        },
        security=("session", ""),
    ),
)  # fmt: skip


def describe_page(mode: PageMode, *, has_login: bool) -> Part:
    """Return what the document has of the page: nothing where it is off, and no login where there is no token."""
    if mode == "off":
        return Part()
    operations = (*_OPERATIONS, *(_LOGIN if has_login else ()))
    shapes = {**_build_answers(), **_build_bodies(), **({"LoginForm": _LOGIN_FORM} if has_login else {})}
    return Part(operations, shapes, _SCHEMES, _TAG, _EXAMPLES)


_LOGIN_FORM = make_object({"token": {"type": "string"}})


def _build_answers() -> dict[str, Schema]:
    text: Schema = {"type": "string"}
    count: Schema = {"type": "integer", "minimum": 0}
    event = make_object({"at": text, "event": text, "line": text, "outcomes": make_list({"type": "object"})})
    state = make_object(
        {
            "overview": {"anyOf": [refer_to("Overview"), {"type": "null"}]},
            "outage": {"anyOf": [refer_to("Outage"), {"type": "null"}]},
            "may_act": {"type": "boolean"},
            "may_log_out": {"type": "boolean"},
            "csrf": text,
        }
    )
    trail = make_object({"phone": text, "complete": {"type": "boolean"}, "timeline": make_list(event)})
    return {
        "PageState": state,
        "Trail": trail,
        "Done": make_object({"done": text}),
        "LastCopy": make_object({"done": text, "count": count, "messages": make_list({})}),
        "GivenBack": make_object(
            {"done": text, "count": count, "ids": make_list(text)}, {"messages": make_list({})}
        ),
        **describe_types(Overview, Outage),
    }


def _build_bodies() -> dict[str, Schema]:
    shapes = describe_types(*BODIES.values())
    for name in ("BatchBody", "HoldBody", "ReleaseBody"):
        for field in {"batch_key", "phone"} & set(shapes[name]["properties"]):
            shapes[name]["properties"][field] = _TEXT_OF_NAME
    shapes["HoldBody"]["properties"]["for"]["pattern"] = DURATION
    return shapes
