"""POST and DELETE /admin/hold/PHONE: a desk takes a person over, and gives back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rfctl.errors import BadRequestError
from rfctl.ingest.access import HOLD, Gate
from rfctl.ingest.head import read_head
from rfctl.ingest.paths import PHONE
from rfctl.ingest.rejections import RejectedError
from rfctl.ingest.responses import make_json_response
from rfctl.model.message import MAX_ID_CHARS, normalize_phone
from rfctl.model.stored import as_strict_json
from rfctl.store import Store
from rfctl.store.holds import LONGEST_HOLD_MS, USUAL_HOLD_MS, Hold, Release, Released
from rfctl.timing import format_rfc3339, parse_duration_ms

_log = structlog.get_logger("ingest")
_MOST_NOTE_CHARS = 500
_NOWHERE: Mapping[str, str] = MappingProxyType({"chat": "", "account": "", "company": ""})


@dataclass(frozen=True, slots=True)
class HoldRoutes:
    """The endpoints of a desk. The gate lets in who may throw batches away, too."""

    store: Store
    gate: Gate
    list_split_fields: Callable[[], Collection[str]]

    def list_routes(self) -> list[Route]:
        """Return the routes of the app."""
        path = f"{HOLD}/{PHONE}"
        return [
            Route(path, self.hold_person, methods=["POST"]),
            Route(path, self.release_person, methods=["DELETE"]),
        ]

    async def hold_person(self, request: Request) -> Response:
        """Hold a person for `?for=2h` (24h if that is not said), with a `note`; in a `chat`, of an `account` or `company`."""
        self.gate.check_admin(read_head(request.scope))
        phone, query = parse_phone(request.path_params["phone"]), request.query_params
        where = {name: query.get(name, "")[:MAX_ID_CHARS] for name in ("chat", "account", "company")}
        holds = await hold_person(
            self.store, phone, self.list_split_fields(), where, for_text=query.get("for"), by="http",
            note=query.get("note", ""),
        )  # fmt: skip
        return make_json_response(
            {"success": True, "phone": phone, "held": [_as_json(hold) for hold in holds]}
        )

    async def release_person(self, request: Request) -> Response:
        """Release a person; with `?discard=true` what came meanwhile is thrown away, else it is handed over as one."""
        self.gate.check_admin(read_head(request.scope))
        phone = parse_phone(request.path_params["phone"])
        is_discarding = _read_flag(request, "discard")
        batches = await release_person(self.store, phone, is_discarding=is_discarding, by="http")
        return make_json_response(
            {"success": True, "phone": phone, **sum_up_released(batches, is_discarding=is_discarding)}
        )


async def hold_person(
    store: Store,
    phone: str,
    split_fields: Collection[str],
    where: Mapping[str, str] = _NOWHERE,
    *,
    for_text: str | None,
    by: str,
    note: str,
    batch_key: str = "",
) -> list[Hold]:
    """Hold a person for a time such as 2h (24h for None), and log who wants it. Raises BadRequestError and RfctlError.

    `where` has the chat, account and company, where batches are kept apart by them; or `batch_key` names the batch.
    """
    for_ms = USUAL_HOLD_MS if for_text is None else parse_duration_ms(for_text)
    if for_ms is None or not 1000 <= for_ms <= LONGEST_HOLD_MS:
        raise BadRequestError("for is no time from 1s to 30d: write 90s, 30m, 2h or 7d")
    batch_keys = [batch_key] if batch_key else await store.holds.name_batches(phone, split_fields, **where)
    if not batch_keys:
        names = " and ".join(name for name in split_fields if not where[name])
        fact = f"{phone} has no pending batch, and batching.split_by keeps batches apart: add {names}"
        raise BadRequestError(fact)
    note = note[:_MOST_NOTE_CHARS]
    holds = [await store.holds.hold(key, phone, for_ms=for_ms, by=by, note=note) for key in batch_keys]
    _log.info("person_held", phone=phone, for_ms=for_ms, by=by)
    return holds


async def release_person(store: Store, phone: str, *, is_discarding: bool, by: str) -> list[Released]:
    """End all holds of a person, and log who wants it. Raises RejectedError where nobody is held, and RfctlError."""
    how: Release = "discard" if is_discarding else "hand_over"
    answers = [
        await store.holds.release(hold.batch_key, hold.phone, how) for hold in await store.holds.find(phone)
    ]
    batches = [answer for answer in answers if answer is not None]
    if not batches:
        raise RejectedError(f"{phone} is not held", 404, "no-batch")
    _log.info("person_released", phone=phone, messages=sum(batch.count for batch in batches), by=by)
    return batches


def parse_phone(text: str) -> str:
    """Return a phone in its normal spelling. Raises BadRequestError for what is none."""
    phone = normalize_phone(text)
    if not phone or len(phone) > MAX_ID_CHARS:
        raise BadRequestError("this names no phone")
    return phone


def _read_flag(request: Request, name: str) -> bool:
    """Return a flag of the query. Raises BadRequestError: an unclear word must throw nothing away."""
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "1", "false", "0"):
        raise BadRequestError(f"{name} is neither true nor false")
    return value in ("true", "1")


def sum_up_released(batches: Sequence[Released], *, is_discarding: bool) -> dict[str, Any]:
    """Return for an answer what became of the batches of who was released, with the last copy of what was thrown away."""
    facts = {
        "done": "discarded" if is_discarding else "handed over",
        "count": sum(batch.count for batch in batches),
        "ids": [entry_id for batch in batches for entry_id in batch.ids],
    }
    if not is_discarding:
        return facts
    items = [msgspec.Raw(as_strict_json(item)) for batch in batches for item in batch.discarded]
    return {**facts, "messages": items}


def _as_json(hold: Hold) -> dict[str, Any]:
    return {"until": format_rfc3339(hold.until_ms), "size": hold.size, "batch_key": hold.batch_key}
