"""The Node service's own webhook: both of its forms, and its signature. Pure: bytes in, messages out.

Its caller is the operator's own code. So what is wrong is refused in words (BadRequestError, with the place),
and a request is taken as a whole or not at all; nothing is `unclear`.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from rfctl.errors import BadRequestError
from rfctl.model.message import MAX_COMPANY_CHARS, MAX_ID_CHARS, MAX_PHONE_CHARS, Message, normalize_phone
from rfctl.sources.contract import ParseResult, Profile, Request, repair_surrogates

CHANNEL = "generic"
BATCHED = "/webhook/whatsapp/batched"
"""The Node service's address."""
WINDOW_MS = 300_000
MOST_MESSAGES = 1000
_SECONDS_BELOW = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may be at most (bytes), whose it is when it does not say ("": nobody's), and where it came in."""

    max_text_bytes: int = 65_536
    company: str = ""
    channel: str = CHANNEL
    platform: str = ""


class _One(msgspec.Struct, rename={"sender": "from"}):
    sender: str | int | None = None
    message: str | None = None
    body: str | None = None
    type: str = "text"
    timestamp: int | float | str | None = None
    messageId: str | int | None = None  # noqa: N815 - the provider's name
    id: str | int | None = None
    companyId: str | int | None = None  # noqa: N815
    metadata: msgspec.Raw = msgspec.Raw(b"")
    simulated: bool = False


class _Request(_One):
    messages: list[_One] | None = None


_decode = msgspec.json.Decoder(_Request).decode


def sign(secret: str, method: str, path: str, timestamp: str, body: bytes) -> str:
    """Return the signature: HMAC-SHA256 hex over `METHOD:path:timestamp:body`, the raw bytes."""
    text = f"{method}:{path}:{timestamp}:".encode() + body
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def verify(
    secrets: Sequence[str],
    *,
    method: str,
    path: str,
    timestamp: bytes,
    signature: bytes,
    body: bytes,
    now_ms: int,
) -> bool:
    """Say whether any secret signed this request within the last five minutes (`timestamp` is Unix ms)."""
    if not timestamp.isdigit() or len(timestamp) > 16 or abs(now_ms - int(timestamp)) > WINDOW_MS:
        return False
    given = signature.strip().lower()
    matches = [
        hmac.compare_digest(sign(secret, method, path, timestamp.decode(), body).encode(), given)
        for secret in secrets
        if secret
    ]
    return any(matches)


def new_id() -> str:
    """Return an id for a message that came without one."""
    return uuid.uuid4().hex


def messages(body: bytes, limits: Limits, make_id: Callable[[], str] = new_id) -> list[Message]:
    """Read a request's messages, in its order. Raises BadRequestError that says what is wrong and where."""
    request = _parse(body)
    if request.messages is None:
        return [_message(request, request, limits, make_id, "")]
    if not request.messages:
        raise BadRequestError("`messages` is empty: send at least one")
    if len(request.messages) > MOST_MESSAGES:
        raise BadRequestError(
            f"`messages` has {len(request.messages)} entries: at most {MOST_MESSAGES} a request"
        )
    return [
        _message(one, request, limits, make_id, f"messages[{place}]: ")
        for place, one in enumerate(request.messages)
    ]


class Generic:
    """The source `generic`: signed with X-Timestamp (Unix ms) and X-Signature, in the Node service's forms."""

    def __init__(self, profile: Profile, make_id: Callable[[], str] = new_id) -> None:
        self._secrets = profile.secrets
        self._limits = Limits(profile.max_text_bytes, profile.company, profile.name, "whatsapp")
        self._make_id = make_id

    def verify(self, request: Request, now_ms: int) -> bool:
        """Say whether any secret signed this request within the last five minutes (`now_ms` is Unix ms)."""
        return verify(
            self._secrets,
            method=request.method,
            path=request.path,
            timestamp=request.header("x-timestamp"),
            signature=request.header("x-signature"),
            body=request.body,
            now_ms=now_ms,
        )

    def handshake(self, request: Request) -> str | None:  # noqa: ARG002 - this caller asks nothing first
        """Refuse every GET."""
        return None

    def redact(self, body: bytes) -> bytes:
        """Return the body: it holds no secret."""
        return body

    def messages(self, body: bytes) -> ParseResult:
        """Read a request's messages, in its order. Raises BadRequestError that says what is wrong and where."""
        return ParseResult(messages(body, self._limits, self._make_id))


def _parse(body: bytes) -> _Request:
    try:
        body.decode()
        return _decode(repair_surrogates(body))
    except UnicodeDecodeError as problem:
        raise BadRequestError(f"the body is not UTF-8: {problem.reason} at byte {problem.start}") from None
    except msgspec.ValidationError as problem:
        raise BadRequestError(f"wrong shape: {problem}") from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadRequestError(f"the body is not JSON: {problem}") from None


def _message(one: _One, request: _One, limits: Limits, make_id: Callable[[], str], where: str) -> Message:
    given_id = one.messageId if one.messageId not in (None, "") else one.id
    company = one.companyId if one.companyId not in (None, "") else request.companyId
    return Message(
        phone=_phone(one.sender, where),
        text=_text(one, limits.max_text_bytes, where),
        id=_short(given_id, MAX_ID_CHARS, "messageId", where) or make_id(),
        channel=limits.channel,
        platform=limits.platform,
        company=_short(company, MAX_COMPANY_CHARS, "companyId", where) or limits.company or None,
        sent_ms=_sent_ms(one.timestamp, where),
        type=_short(one.type, 64, "type", where) or "text",
        metadata=_metadata(one.metadata, where),
        simulated=one.simulated or request.simulated,
    )


def _phone(sender: str | int | None, where: str) -> str:
    phone = normalize_phone(str(sender)) if sender is not None else ""
    if not phone:
        raise BadRequestError(f"{where}`from` is missing: who sent it?")
    if len(phone) > MAX_PHONE_CHARS:
        raise BadRequestError(f"{where}`from` is longer than {MAX_PHONE_CHARS} characters")
    return phone


def _text(one: _One, most: int, where: str) -> str:
    text = one.message if one.message is not None else one.body
    if not text:
        raise BadRequestError(f"{where}`message` is missing or empty: there is nothing to hand over")
    if len(text) > most or len(text.encode()) > most:
        raise BadRequestError(f"{where}`message` is longer than {most} bytes (batching.max_text_bytes)")
    return text


def _short(value: str | int | None, most: int, name: str, where: str) -> str:
    text = "" if value is None else str(value)
    if len(text) > most:
        raise BadRequestError(f"{where}`{name}` is longer than {most} characters")
    return text


def _metadata(raw: msgspec.Raw, where: str) -> bytes:
    found = bytes(raw).strip()
    if not found or found == b"null":
        return b"{}"
    if not found.startswith(b"{"):
        raise BadRequestError(f"{where}`metadata` is not an object")
    return found


def _sent_ms(value: float | str | None, where: str) -> int | None:
    """Return Unix ms of a number (s or ms), a number in a string, or an ISO 8601 time; None when absent."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and not value.isdecimal():
            moment = datetime.fromisoformat(value)
            number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
        else:
            number = float(value)
            number = number * 1000 if number < _SECONDS_BELOW else number
    except (ValueError, OverflowError):
        number = -1
    if not 0 <= number < 1e15:
        raise BadRequestError(f"{where}`timestamp` is no time: send Unix ms or ISO 8601")
    return int(number)
