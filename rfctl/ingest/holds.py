"""POST and DELETE /admin/hold/PHONE: a desk takes a person over, and gives back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rfctl.errors import BadRequestError
from rfctl.ingest.access import HOLD, Gate
from rfctl.ingest.head import read_head
from rfctl.ingest.rejections import RejectedError
from rfctl.ingest.responses import make_json_response
from rfctl.model.message import MAX_ID_CHARS, normalize_phone
from rfctl.store import Store
from rfctl.store.holds import LONGEST_HOLD_MS, USUAL_HOLD_MS, Hold, Released
from rfctl.timing import parse_duration_ms

_log = structlog.get_logger("ingest")
_MOST_NOTE_CHARS = 500


@dataclass(frozen=True, slots=True)
class HoldRoutes:
    """The endpoints of a desk. The gate lets in who may throw batches away, too."""

    store: Store
    gate: Gate
    list_split_fields: Callable[[], Collection[str]]

    def list_routes(self) -> list[Route]:
        """Return the routes of the app."""
        path = HOLD + "/{phone:path}"
        return [
            Route(path, self.hold_person, methods=["POST"]),
            Route(path, self.release_person, methods=["DELETE"]),
        ]

    async def hold_person(self, request: Request) -> Response:
        """Hold a person for `?for=2h` (24h if that is not said), with a `note`; in a `chat`, of an `account` or `company`."""
        self.gate.check_admin(read_head(request.scope))
        phone, query = _read_phone(request), request.query_params
        for_ms = parse_duration_ms(query["for"]) if "for" in query else USUAL_HOLD_MS
        if for_ms is None or not 1000 <= for_ms <= LONGEST_HOLD_MS:
            raise BadRequestError("for is no time from 1s to 30d: write 90s, 30m, 2h or 7d")
        where = {name: query.get(name, "")[:MAX_ID_CHARS] for name in ("chat", "account", "company")}
        batch_keys = await self.store.holds.name_batches(phone, self.list_split_fields(), **where)
        if not batch_keys:
            names = " and ".join(name for name in self.list_split_fields() if not where[name])
            fact = f"{phone} has no pending batch, and batching.split_by keeps batches apart: add {names}"
            raise BadRequestError(fact)
        note = query.get("note", "")[:_MOST_NOTE_CHARS]
        holds = [
            await self.store.holds.hold(key, phone, for_ms=for_ms, by="http", note=note) for key in batch_keys
        ]
        _log.info("person_held", phone=phone, for_ms=for_ms, by="http")
        return make_json_response(
            {"success": True, "phone": phone, "held": [_as_json(hold) for hold in holds]}
        )

    async def release_person(self, request: Request) -> Response:
        """Release a person; with `?discard=true` what came meanwhile is thrown away, else it is handed over as one."""
        self.gate.check_admin(read_head(request.scope))
        phone, is_discarding = _read_phone(request), _read_flag(request, "discard")
        batches: list[Released] = []
        for hold in await self.store.holds.find(phone):
            answer = await self.store.holds.release(
                hold.batch_key, hold.phone, "discard" if is_discarding else "hand_over"
            )
            batches += [answer] if answer is not None else []
        if not batches:
            raise RejectedError(f"{phone} is not held", 404, "no-batch")
        _log.info("person_released", phone=phone, messages=sum(batch.count for batch in batches), by="http")
        return make_json_response(
            {"success": True, "phone": phone, **_sum_up(batches, is_discarding=is_discarding)}
        )


def _read_phone(request: Request) -> str:
    phone = normalize_phone(request.path_params["phone"])
    if not phone or len(phone) > MAX_ID_CHARS:
        raise BadRequestError("the path names no phone")
    return phone


def _read_flag(request: Request, name: str) -> bool:
    """Return a flag of the query. Raises BadRequestError: an unclear word must throw nothing away."""
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "1", "false", "0"):
        raise BadRequestError(f"{name} is neither true nor false")
    return value in ("true", "1")


def _sum_up(batches: Sequence[Released], *, is_discarding: bool) -> dict[str, Any]:
    return {
        "done": "discarded" if is_discarding else "handed over",
        "count": sum(batch.count for batch in batches),
        "ids": [entry_id for batch in batches for entry_id in batch.ids],
    }


def _as_json(hold: Hold) -> dict[str, Any]:
    until = datetime.fromtimestamp(hold.until_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return {"until": until.replace("+00:00", "Z"), "size": hold.size, "batch_key": hold.batch_key}
