"""What came of all that was accepted: nothing lost, nothing doubled, in order. Judges the end of a storm. Pure, but for the reading."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rfctl.store import replies
from rfctl.store.connection import Connection
from tests.support.receivers import Taken
from tests.support.traffic import COMPANY, SentMessage

_PAGE = 500
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One merged message as it arrived: its id, its phone, and the ids of its messages."""

    id: str
    phone: str
    ids: tuple[str, ...]


@dataclass(slots=True)
class Arrivals:
    """What each place has, oldest first; and the ids of the messages that are dead letters of the http sink."""

    sinks: dict[str, list[Row]] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


class Verdict:
    """The comparison of what was sent with what arrived."""

    def __init__(self, sent: Mapping[str, Sequence[SentMessage]], arrivals: Arrivals) -> None:
        self._sent = {phone: [message.id for message in messages] for phone, messages in sent.items()}
        self._arrivals = arrivals

    def is_complete(self) -> bool:
        """Say whether no message is missing anywhere."""
        return not any(self._find_missing(name, rows) for name, rows in self._arrivals.sinks.items())

    def find_violations(self) -> list[str]:
        """Return each way in which a promise was broken."""
        violations = list(self._arrivals.problems)
        for name, rows in self._arrivals.sinks.items():
            violations += self._find_missing(name, rows)
            violations += self._find_doubled(name, rows)
            violations += self._find_disorder(name, rows)
        return violations

    def _wanted(self, name: str) -> dict[str, list[str]]:
        dead = self._arrivals.dead if name == "http" else set()
        return {phone: [id_ for id_ in ids if id_ not in dead] for phone, ids in self._sent.items()}

    def _find_missing(self, name: str, rows: Sequence[Row]) -> list[str]:
        came = {id_ for row in rows for id_ in row.ids}
        lost = [id_ for ids in self._wanted(name).values() for id_ in ids if id_ not in came]
        return [f"{name}: {len(lost)} lost: {lost[:_SHOWN]}"] if lost else []

    def _find_doubled(self, name: str, rows: Sequence[Row]) -> list[str]:
        counts = Counter(id_ for row in rows for id_ in row.ids)
        doubled = {id_: count for id_, count in counts.items() if count > 1}
        return [f"{name}: {len(doubled)} doubled: {list(doubled.items())[:_SHOWN]}"] if doubled else []

    def _find_disorder(self, name: str, rows: Sequence[Row]) -> list[str]:
        came: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            came[row.phone] += row.ids
        wrong = []
        for phone, wanted in self._wanted(name).items():
            places = {id_: place for place, id_ in enumerate(wanted)}
            order = [places[id_] for id_ in dict.fromkeys(came[phone]) if id_ in places]
            turned = next((place for place in range(1, len(order)) if order[place] < order[place - 1]), None)
            if turned is not None:
                wrong.append(f"{wanted[order[turned]]} after {wanted[order[turned - 1]]}")
        return [f"{name}: {len(wrong)} phones out of order: {wrong[:_SHOWN]}"] if wrong else []


def judge(sent: Mapping[str, Sequence[SentMessage]], arrivals: Arrivals) -> list[str]:
    """Return each way in which a promise was broken; none is what it should be."""
    return Verdict(sent, arrivals).find_violations()


def take_once(deliveries: Sequence[tuple[str, dict[str, Any]]]) -> tuple[list[Row], list[str]]:
    """Return each webhook id once, where it came first, and each id whose content changed when it came again."""
    first: dict[str, str] = {}
    rows, problems = [], []
    for webhook_id, body in deliveries:
        content = json.dumps(body, sort_keys=True)
        if webhook_id not in first:
            first[webhook_id] = content
            rows.append(_row(webhook_id, body))
        elif first[webhook_id] != content:
            problems.append(f"http: {webhook_id} came again with another content")
    return rows, problems


async def read_arrivals(connection: Connection, deliveries: Sequence[tuple[str, Taken]]) -> Arrivals:
    """Read what every place has now."""
    http, problems = take_once(deliveries)
    arrivals = Arrivals(problems=problems)
    arrivals.sinks = {
        "output stream": [
            _row_of_fields(entry_id, got) for entry_id, got in await _entries(connection, "rfctl:out")
        ],
        "http": http,
        "list": [_row(body["messageId"], body) for body in await _payloads(connection, "bot:list")],
        "stream": [_row_of_fields(got["id"], got) for _, got in await _entries(connection, "bot:stream")],
        "bullmq": [_row(body["messageId"], body) for body in await _jobs(connection)],
    }
    dead = [got for _, got in await _entries(connection, "rfctl:dead")]
    arrivals.dead = {id_ for got in dead if got["sink"] == "crm" for id_ in _ids(json.loads(got["messages"]))}
    others = Counter(got["sink"] for got in dead if got["sink"] != "crm")
    arrivals.problems += [
        f"{count} dead letters of {sink}, which never refuses" for sink, count in others.items()
    ]
    return arrivals


def _ids(originals: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(original["messageId"] for original in originals)


def _row(id_: str, body: dict[str, Any]) -> Row:
    metadata = body["metadata"]
    return Row(id_, body["from"], _ids(metadata.get("originals") or metadata["originalMessages"]))


def _row_of_fields(id_: str, got: dict[str, str]) -> Row:
    return Row(id_, got["phone"], _ids(json.loads(got["messages"])))


async def _entries(connection: Connection, key: str) -> list[tuple[str, dict[str, str]]]:
    entries: list[tuple[str, dict[str, str]]] = []
    start = "-"
    while page := replies.stream_entries(await connection.call("XRANGE", key, start, "+", "COUNT", _PAGE)):
        for entry_id, flat in page:
            fields = {name: replies.text(value) for name, value in replies.fields(flat).items()}
            entries.append((entry_id, fields))
        start = f"({page[-1][0]}"
    return entries


async def _payloads(connection: Connection, key: str) -> list[dict[str, Any]]:
    payloads: list[dict[str, Any]] = []
    while page := await connection.call("LRANGE", key, len(payloads), len(payloads) + _PAGE - 1):
        payloads += map(json.loads, page)
    return payloads


async def _jobs(connection: Connection) -> list[dict[str, Any]]:
    """Return the data of the jobs that wait, oldest first: there is no worker."""
    prefix = f"bull:company-{COMPANY}-messages:"
    names = [name.decode() for name in reversed(await connection.call("LRANGE", prefix + "wait", 0, -1))]
    jobs: list[dict[str, Any]] = []
    for start in range(0, len(names), _PAGE):
        page = await connection.calls(
            [("HGET", prefix + name, "data") for name in names[start : start + _PAGE]]
        )
        jobs += map(json.loads, page)
    return jobs
