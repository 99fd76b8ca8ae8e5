"""The table of the daemon's operations: a row for each method of each route. A test holds it to the routes of the app.

A row of a webhook stands for every source: the document has each source of the settings by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rfctl.ingest.access import HOLD
from rfctl.ingest.openapi.shapes import Schema
from rfctl.ingest.paths import EVENT, PHONE
from rfctl.observe.facts.probe import PROBE_PATH
from rfctl.sources.generic.node_form import BATCHED

OPENAPI_PATH = "/openapi.json"
JSON, TEXT = "application/json", "text/plain"
FORM = "application/x-www-form-urlencoded"
METRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: what it means, the name of its shape in JSON, and its content types. Without any, its body is not described."""

    meaning: str
    shape: str = ""
    types: tuple[str, ...] = (JSON,)
    is_retry: bool = False
    """Whether Retry-After says when to send the request again."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the path, which is always required, or of the query."""

    name: str
    meaning: str
    place: str = "query"
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    example: str = ""
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route. `path` is the route's, as the app has it.

    `replies` are those besides the ones that every operation has. `security` names schemes, of which any will do; "" is
    this machine, where no token is set. Schemes that go together are joined by "+". `body` is the shape of the request's
    body, "" for none. `action` stands for the name in the path, where each name has an operation of its own.
    """

    method: str
    path: str
    name: str
    summary: str
    tag: str
    replies: Mapping[int, Reply]
    parameters: tuple[Parameter, ...] = ()
    security: tuple[str, ...] = ()
    body: str = ""
    body_type: str = JSON
    action: str = ""


def refuse(*statuses: int) -> dict[int, Reply]:
    """Return the replies of these statuses."""
    return {status: _REFUSALS[status] for status in statuses}


_REFUSALS = {
    400: Reply("The request is wrong; the answer says what, and nothing was stored.", "Problem"),
    401: Reply("The token is missing or another one, or the request is not from this machine.", "Problem"),
    403: Reply("The Host or the Origin is not this machine's.", "Problem"),
    404: Reply("There is nothing of this name.", "Problem"),
    413: Reply("The body is larger than http.max_body_bytes.", "Problem"),
    415: Reply("The content type or the content encoding is not taken.", "Problem"),
    429: Reply(
        "Too many wrong tokens came from this client: Retry-After says when to come again.", "Problem"
    ),
}
ALWAYS = {
    **refuse(400),
    431: Reply("The header is larger than http.max_header_bytes.", "Problem"),
    500: Reply("A bug in rfctl: its log has it.", "Problem"),
    503: Reply(
        "It cannot be done now, and nothing was acknowledged: send it again.", "Problem", is_retry=True
    ),
}
"""The replies of every operation."""
_PHONE = Parameter(
    "phone", "The person, in any spelling.", "path", {"type": "string", "minLength": 1}, "79001234567"
)
ADMIN = ("adminToken", "")
NODE_PROOF = "nodeSignature+nodeTimestamp"
_EVENT = Parameter(
    "event", "What some providers append: the name of the event.", "path", example="messages-upsert"
)
_HANDSHAKE = (
    Parameter("hub.mode", "What Meta wants: subscribe.", example="subscribe"),
    Parameter("hub.verify_token", "The word of sources.NAME.verify_token.", example="a-word-of-your-choice"),
    Parameter("hub.challenge", "What is sent back.", example="1158201444"),
)
_RECEIVED = Reply("All messages are stored, or were before.", "Receipt")
_REFUSED = refuse(401, 403, 404, 413, 415)
DURATION = (
    "^(?:(?:[1-9][0-9]{0,5}|1[0-9]{6}|2[0-4][0-9]{5}|25[0-8][0-9]{4}|259[01][0-9]{3}|2592000)s"
    "|(?:[1-9][0-9]{0,3}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200)m"
    "|(?:[1-9][0-9]?|[1-6][0-9]{2}|7[01][0-9]|720)h|(?:[1-9]|[12][0-9]|30)d)$"
)
"""The durations from a second to 30 days."""
_HOLD_QUERY = (
    Parameter(
        "for",
        "How long: 90s, 30m, 2h or 7d; 24h without it.",
        schema={"type": "string", "pattern": DURATION},
        example="2h",
    ),
    Parameter("note", "Why, for people who look.", schema={"type": "string", "maxLength": 500}),
    Parameter("chat", "Only in this group or thread."),
    Parameter("account", "Only for this number or bot of ours."),
    Parameter("company", "Only for this tenant."),
)
_DISCARD = Parameter(
    "discard",
    "Throw away what came meanwhile. The answer has it once more, as messages.",
    schema={"type": "string", "enum": ["true", "1", "false", "0"]},
)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST", "/webhook/{name}", "receive", "Receive messages as their provider sends them.", "webhook",
        {200: _RECEIVED, **_REFUSED}, security=("proof",), body="GenericRequest",
    ),
    Operation(
        "POST", "/webhook/{name}/" + EVENT, "receiveEvent",
        "Receive messages; some providers append the event's name.", "webhook",
        {200: _RECEIVED, **_REFUSED}, (_EVENT,), security=("proof",), body="GenericRequest",
    ),
    Operation(
        "GET", "/webhook/{name}", "answerHandshake", "Answer the handshake by which a provider makes sure of us.",
        "webhook",
        {
            200: Reply("The challenge, as it was sent.", types=(TEXT,)),
            403: Reply("The verify token is another one, or this source has no handshake."),
            **refuse(404),
        },
        _HANDSHAKE,
    ),
    Operation(
        "POST", BATCHED, "receiveBatched", "Receive messages of the source generic, at the Node service's address.",
        "webhook", {200: _RECEIVED, **_REFUSED}, security=(NODE_PROOF, ""), body="GenericRequest",
    ),
    Operation(
        "GET", BATCHED + "/stats", "listPending", "List the pending batches that are due next.", "admin",
        {200: Reply("The batches, 100 at most.", "Pending"), **refuse(401, 403, 429)}, security=ADMIN,
    ),
    Operation(
        "DELETE", f"{BATCHED}/{PHONE}", "discardBatches", "Throw away all that is pending of a person.", "admin",
        {200: Reply("What was thrown away.", "Discarded"), **refuse(401, 403, 404, 429)}, (_PHONE,), ADMIN,
    ),
    Operation(
        "POST", f"{HOLD}/{PHONE}", "holdPerson", "Keep what a person writes from the bot.", "admin",
        {200: Reply("The holds.", "Held"), **refuse(401, 403, 429)}, (_PHONE, *_HOLD_QUERY), ADMIN,
    ),
    Operation(
        "DELETE", f"{HOLD}/{PHONE}", "releasePerson", "End the holds of a person.", "admin",
        {200: Reply("What came meanwhile left, or was thrown away.", "Released"), **refuse(401, 403, 404, 429)},
        (_PHONE, _DISCARD), ADMIN,
    ),
    Operation(
        "GET", "/healthz", "reportHealth", "Say that the process is alive.", "monitor",
        {200: Reply("It is.", "Health")},
    ),
    Operation(
        "GET", "/readyz", "reportReadiness", "Say whether this daemon can do its work now.", "monitor",
        {200: Reply("It can.", "Ready"), 503: Reply("It cannot; reason is one word of rfctl(7).", "NotReady")},
    ),
    Operation(
        "GET", "/metrics", "reportMetrics", "Give the metrics for Prometheus.", "monitor",
        {200: Reply("The metrics.", types=(TEXT, METRICS)), **refuse(401, 403, 429)},
        security=("metricsToken", "adminToken", ""),
    ),
    Operation(
        "POST", PROBE_PATH, "probe", "Send one message of our own all the way, as rfctl doctor --probe does.", "monitor",
        {200: Reply("What became of it at each link.", "ProbeReport"), **refuse(401, 403, 413, 415, 429)},
        security=ADMIN, body="GenericRequest",
    ),
    Operation(
        "GET", OPENAPI_PATH, "describe", "Give this document.", "monitor",
        {200: Reply("The document.", "Document"), **refuse(401, 403, 429)}, security=ADMIN,
    ),
)  # fmt: skip
