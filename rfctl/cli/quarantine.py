"""`rfctl quarantine`: authentic requests that could not be parsed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import msgspec
import typer

from rfctl.assembly.batching import build_rules
from rfctl.assembly.sources import build_sources
from rfctl.batching import Batcher
from rfctl.cli.arguments import Yes, check_id
from rfctl.cli.context import Invocation
from rfctl.cli.output import format_rfc3339
from rfctl.cli.shelf import All, Limit, Shelf, ask_for_all, check_ids_or_all, run_on_shelf
from rfctl.config.loader import Configuration
from rfctl.ingest.quarantine_retry import QuarantineRetry
from rfctl.model.strict_json import find_json_fault
from rfctl.store import QuarantinedRequest, Store
from rfctl.text import counted

app = typer.Typer(help="Authentic requests that could not be parsed.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="A request, by its id.")]


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = 50) -> None:
    """List the newest requests in quarantine, the newest last, and why they are there.

    Examples:  rfctl quarantine list  |  rfctl quarantine list --limit 10 -o json
    """
    run_on_shelf(ctx, _QuarantineShelf, lambda requests: requests.list_newest(limit))


@app.command("show")
def show(ctx: typer.Context, request: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one request as it came, without the provider's secrets.

    Examples:  rfctl quarantine show 1758000000000-0
    """
    request_id = check_id(request)
    run_on_shelf(ctx, _QuarantineShelf, lambda requests: requests.show(request_id))


@app.command("retry")
def retry(ctx: typer.Context, ids: Ids = None, every: All = False) -> None:
    """Parse requests again with today's settings. Their messages are stored; unparsed parts stay in quarantine.

    Examples:  rfctl quarantine retry 1758000000000-0  |  rfctl quarantine retry --all
    """
    chosen_ids = check_ids_or_all(ids, every=every, command="quarantine")
    run_on_shelf(ctx, _QuarantineShelf, lambda requests: requests.retry(chosen_ids))


@app.command("drop")
def drop(ctx: typer.Context, ids: Ids = None, every: All = False, yes: Yes = False) -> None:
    """Throw requests away and print them, one by one.

    Examples:  rfctl quarantine drop 1758000000000-0  |  rfctl quarantine drop --all --yes
    """
    chosen_ids = check_ids_or_all(ids, every=every, command="quarantine")
    ask_for_all("throw every request in quarantine away", every=every, yes=yes)
    run_on_shelf(ctx, _QuarantineShelf, lambda requests: requests.drop(chosen_ids))


def _build_retry(store: Store, configuration: Configuration) -> QuarantineRetry:
    settings = configuration.settings
    batcher = Batcher(store, build_rules(settings))
    return QuarantineRetry(store, batcher, build_sources(settings), settings.batching.placeholder)


class _QuarantineShelf(Shelf[QuarantinedRequest, dict[str, Any]]):
    """The requests in quarantine. The outcome of a retry has no body: it may have megabytes."""

    command = "quarantine"
    noun = "request"
    place = "in the quarantine"
    headings = ("id", "came", "source", "type", "bytes", "why")
    number_column = 4

    def __init__(self, run: Invocation, store: Store, configuration: Configuration) -> None:
        super().__init__(run, store.address)
        self._store = store
        self._configuration = configuration
        self._retrying: QuarantineRetry | None = None

    def empty(self) -> str:
        return "nothing is in the quarantine of"

    async def newest(self, limit: int) -> Sequence[QuarantinedRequest]:
        return await self._store.quarantine.list_newest(limit)

    async def find(self, item_id: str) -> Sequence[QuarantinedRequest]:
        request = await self._store.quarantine.get(item_id)
        return [] if request is None else [request]

    def each(self) -> AsyncIterator[QuarantinedRequest]:
        return self._store.quarantine.iterate()

    async def try_again(self, item: QuarantinedRequest) -> dict[str, Any]:
        self._retrying = self._retrying or _build_retry(self._store, self._configuration)
        result = await self._retrying.retry(item)
        return {
            **self.as_json(item),
            "stored": result.stored,
            "skipped": dict(result.skipped),
            "problem": result.problem or None,
        }

    def is_left(self, outcome: dict[str, Any]) -> bool:
        return bool(outcome["problem"])

    def print_outcomes(self, outcomes: list[dict[str, Any]]) -> None:
        if self.run.is_json:
            self.run.out.rows(outcomes)
            return
        rows = [
            (outcome["id"], outcome["source"], _summarize(outcome), outcome["problem"] or "")
            for outcome in outcomes
        ]
        self.run.out.table(("id", "source", "parsed", "still in quarantine, because"), rows)

    async def delete(self, item: QuarantinedRequest) -> bool:
        return await self._store.quarantine.drop(item.id)

    def as_json(self, item: QuarantinedRequest) -> dict[str, Any]:
        return {
            "id": item.id,
            "came": format_rfc3339(item.at_ms),
            "source": item.source,
            "type": item.type,
            "why": item.why,
            "bytes": len(item.body),
        }

    def in_full(self, item: QuarantinedRequest) -> dict[str, Any]:
        """Return the body too: as the JSON that it is, to the digit, else as text."""
        pretty = None if find_json_fault(item.body) else _indent_json(item.body)
        body = _as_text(item.body) if pretty is None else msgspec.Raw(msgspec.json.format(pretty, indent=-1))
        return {**self.as_json(item), "body": body}

    def print_in_full(self, item: QuarantinedRequest) -> None:
        source = f"{item.source} ({item.type})"
        self.run.out.facts(
            [
                ("id", item.id),
                ("came", format_rfc3339(item.at_ms) or ""),
                ("source", source),
                ("why", item.why),
            ]
        )
        for line in (_indent_json(item.body) or _as_text(item.body)).split("\n"):
            self.run.out.text(line)

    def row(self, item: QuarantinedRequest) -> tuple[str, ...]:
        return (
            item.id,
            format_rfc3339(item.at_ms) or "",
            item.source,
            item.type,
            str(len(item.body)),
            item.why,
        )


def _as_text(body: bytes) -> str:
    return body.decode(errors="backslashreplace")


def _indent_json(body: bytes) -> str | None:
    """Return JSON indented, None for what is none."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        return msgspec.json.format(body.decode(), indent=2)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _summarize(outcome: dict[str, Any]) -> str:
    skipped = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome["skipped"].items()))
    stored = counted(outcome["stored"], "message") if outcome["stored"] else ""
    parts = [stored, f"skipped: {skipped}" if skipped else ""]
    return "; ".join(part for part in parts if part) or "nothing"
