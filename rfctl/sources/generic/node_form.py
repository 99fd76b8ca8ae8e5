"""The two generic forms and their signature, as the Node service had them. Pure: bytes in, messages out.

Its caller is the operator's own code. So BadRequestError says what is wrong, and where. A request is accepted as a
whole or not at all, and nothing is unparsed.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import msgspec.inspect

from rfctl.errors import BadRequestError
from rfctl.model.company import Company, decode_company, format_company
from rfctl.model.message import (
    MAX_COMPANY_CHARS,
    MAX_ID_CHARS,
    MAX_PHONE_CHARS,
    Message,
    is_blank,
    normalize_phone,
)
from rfctl.model.strict_json import find_json_fault
from rfctl.sources.auth.config import parse_auth
from rfctl.sources.auth.proofs import build_proof
from rfctl.sources.contract import ParseResult, Request, Source
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.plain import read_plain
from rfctl.sources.parsing import (
    SECONDS_BELOW,
    any_secret,
    build_id_scope,
    constant_time_equal,
    repair_surrogates,
)

CHANNEL = "generic"
BATCHED = "/webhook/whatsapp/batched"
"""The second address of the source generic; the Node service had it."""
_PLATFORM = "whatsapp"
"""What the Node service said of all of its messages."""
WINDOW_MS = 300_000
MAX_MESSAGES = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest text (bytes), the company of a message that names none ("": nobody's), the source and the network.

    `id_scope` is under which name ids are remembered; "" stands for the source's.
    """

    max_text_bytes: int = 65_536
    company: int | str = ""
    channel: str = CHANNEL
    platform: str = ""
    id_scope: str = ""


class _Item(msgspec.Struct, rename={"sender": "from"}):
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


class _Request(_Item):
    messages: list[_Item] | None = None


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
    sent = signature.strip().lower()
    return any_secret(
        secrets,
        lambda secret: constant_time_equal(sent, sign(secret, method, path, timestamp.decode(), body)),
    )


def generate_id() -> str:
    """Return an id for a message that came without one."""
    return uuid.uuid4().hex


def parse_messages(body: bytes, limits: Limits, make_id: Callable[[], str] = generate_id) -> list[Message]:
    """Read a request's messages, in its order. Raises BadRequestError that says what is wrong and where."""
    request = _parse(body)
    if request.messages is None:
        return [_message(request, request, limits, make_id, "")]
    if not request.messages:
        raise BadRequestError("`messages` is empty: send at least one")
    if len(request.messages) > MAX_MESSAGES:
        raise BadRequestError(
            f"`messages` has {len(request.messages)} entries: at most {MAX_MESSAGES} a request"
        )
    return [
        _message(item, request, limits, make_id, f"messages[{place}]: ")
        for place, item in enumerate(request.messages)
    ]


class NodeForm(Source):
    """The source `generic`: signed with X-Timestamp (Unix ms) and X-Signature, in either form."""

    proof_headers = ("x-signature",)

    def __init__(
        self,
        name: str,
        config: GenericConfig,
        max_text_bytes: int = 65_536,
        make_id: Callable[[], str] = generate_id,
    ) -> None:
        self._secrets = config.secrets
        self._proof = build_proof(parse_auth("node"), config.secrets)
        platform = config.platform or _PLATFORM
        self._limits = Limits(max_text_bytes, config.company, name, platform, config.find_id_scope(name))
        self._make_id = make_id
        scope = build_id_scope("generic", "", self._limits.id_scope)
        self._common = (max_text_bytes, scope, name, decode_company(config.company), platform)

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

    def explain_rejection(self, request: Request, now_ms: int) -> str:
        """Return which part of the proof failed, in words for the log."""
        return self._proof.find_fault(request, now_ms) or super().explain_rejection(request, now_ms)

    def parse(self, body: bytes) -> ParseResult:
        """Read a request's messages, in its order. Raises BadRequestError that says what is wrong and where."""
        plain = read_plain(body, *self._common)
        return ParseResult(parse_messages(body, self._limits, self._make_id) if plain is None else [plain])


def _parse(body: bytes) -> _Request:
    try:
        body.decode()
        request = _decode(repair_surrogates(body))
    except UnicodeDecodeError as problem:
        raise BadRequestError(f"the body is not UTF-8: {problem.reason} at byte {problem.start}") from None
    except msgspec.ValidationError as problem:
        raise BadRequestError(f"wrong shape: {problem}") from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadRequestError(f"the body is not JSON: {problem}") from None
    if fault := find_json_fault(body):
        raise BadRequestError(f"the body has what no strict reader of JSON takes: {fault}")
    return request


def _message(item: _Item, request: _Item, limits: Limits, make_id: Callable[[], str], where: str) -> Message:
    id_ = item.messageId if item.messageId not in (None, "") else item.id
    phone, company = _phone(item.sender, where), _company(item, request, where)
    is_simulated = item.simulated or request.simulated
    # Anybody's ids may be small numbers: they are each sender's own, and each tenant's. Simulated ones hide no real one.
    sender = (format_company(company), phone, *(["simulated"] if is_simulated else []))
    id_scope = build_id_scope("generic", "", limits.id_scope or limits.channel, *sender)
    return Message(
        phone=phone,
        text=_text(item, limits.max_text_bytes, where),
        id=_short(id_, MAX_ID_CHARS, "messageId", where) or make_id(),
        id_scope=id_scope,
        channel=limits.channel,
        platform=limits.platform,
        company=decode_company(limits.company) if company is None else company,
        sent_ms=_sent_ms(item.timestamp, where),
        type=_short(item.type, 64, "type", where) or "text",
        metadata=_metadata(item.metadata, where),
        simulated=is_simulated,
    )


def _phone(sender: str | int | None, where: str) -> str:
    phone = normalize_phone(str(sender)) if sender is not None else ""
    if not phone:
        raise BadRequestError(f"{where}`from` is missing: who sent it?")
    if len(phone) > MAX_PHONE_CHARS:
        raise BadRequestError(f"{where}`from` is longer than {MAX_PHONE_CHARS} characters")
    return phone


def _company(item: _Item, request: _Item, where: str) -> Company:
    """Return the company as the body has it, None when it names none."""
    company = item.companyId if item.companyId not in (None, "") else request.companyId
    _short(company, MAX_COMPANY_CHARS, "companyId", where)
    return decode_company(company)


def _text(item: _Item, most: int, where: str) -> str:
    text = item.message if item.message is not None else item.body
    if not text:
        raise BadRequestError(f"{where}`message` is missing or empty: there is nothing to hand over")
    if len(text) > most or len(text.encode()) > most:
        raise BadRequestError(f"{where}`message` is longer than {most} bytes (batching.max_text_bytes)")
    return "" if is_blank(text) else text


def _short(value: str | int | None, most: int, name: str, where: str) -> str:
    text = "" if value is None else str(value)
    if len(text) > most:
        raise BadRequestError(f"{where}`{name}` is longer than {most} characters")
    return text


def _metadata(raw: msgspec.Raw, where: str) -> bytes:
    text = bytes(raw).strip()
    if not text or text == b"null":
        return b"{}"
    if not text.startswith(b"{"):
        raise BadRequestError(f"{where}`metadata` is not an object")
    return text


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
            number = number * 1000 if number < SECONDS_BELOW else number
    except (ValueError, OverflowError):
        number = -1
    if not 0 <= number < 1e15:
        raise BadRequestError(f"{where}`timestamp` is no time: send Unix ms or ISO 8601")
    return int(number)


_JSON_TYPES = {
    msgspec.inspect.StrType: "string", msgspec.inspect.IntType: "integer", msgspec.inspect.FloatType: "number",
    msgspec.inspect.BoolType: "boolean", msgspec.inspect.NoneType: "null",
}  # fmt: skip


def list_item_types() -> dict[str, list[str]]:
    """Return each field of a message in this form, by the name that JSON has, with the JSON types that are taken."""
    fields = msgspec.inspect.type_info(_Item).fields  # type: ignore[attr-defined]
    return {field.encode_name: _list_json_types(field.type) for field in fields}


def _list_json_types(kind: msgspec.inspect.Type) -> list[str]:
    if isinstance(kind, msgspec.inspect.UnionType):
        return sorted(name for each in kind.types for name in _list_json_types(each))
    return [_JSON_TYPES[type(kind)]] if type(kind) in _JSON_TYPES else ["null", "object"]
