"""`rfctl quarantine`: authentic requests that could not be parsed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer

from rfctl.assembly.batching import build_rules
from rfctl.assembly.sources import build_sources
from rfctl.batching import Batcher
from rfctl.cli.arguments import check_id
from rfctl.cli.context import Invocation
from rfctl.cli.daemon_options import use_daemon_options
from rfctl.cli.output import safe
from rfctl.cli.shared_options import All, Limit, Yes, check_ids_or_all
from rfctl.cli.shelf import Shelf, run_on_shelf
from rfctl.cli.table import open_table
from rfctl.config.loader import Configuration
from rfctl.ingest.quarantine_retry import QuarantineRetry
from rfctl.model.strict_json import find_json_fault
from rfctl.store import QuarantinedHead, QuarantinedRequest, Store
from rfctl.text import counted, mask_url
from rfctl.timing import format_rfc3339

app = typer.Typer(help="Authentic requests that could not be parsed.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="A request, by its id.")]


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = 50) -> None:
    """List the newest requests in quarantine, the newest last, and why they are there.

    Examples:  rfctl quarantine list  |  rfctl quarantine list --limit 10 -o json
    """
    run_on_shelf(ctx, _QuarantineShelf, lambda requests: requests.list_newest(limit))


@app.command("show")
def show(
    ctx: typer.Context,
    request: Annotated[str, typer.Argument(metavar="ID")],
    body: Annotated[bool, typer.Option("--body", help="Print its body alone, byte for byte.")] = False,
) -> None:
    """Show one request as it came, without the provider's secrets.

    Examples:  rfctl quarantine show 1758000000000-0  |  rfctl quarantine show 1758000000000-0 --body > body.json
    """
    request_id = check_id(request)
    run_on_shelf(
        ctx,
        _QuarantineShelf,
        lambda requests: requests.write_body(request_id) if body else requests.show(request_id),
    )


@app.command("retry")
def retry(ctx: typer.Context, ids: Ids = None, every: All = False) -> None:
    """Parse requests again with today's settings. Their messages are stored; unparsed parts stay in quarantine.

    Examples:  rfctl quarantine retry 1758000000000-0  |  rfctl quarantine retry --all
    """
    chosen_ids = check_ids_or_all(ids, every=every, command="quarantine", check=check_id)
    run_on_shelf(ctx, _QuarantineShelf, lambda requests: requests.retry(chosen_ids))


@app.command("drop")
def drop(ctx: typer.Context, ids: Ids = None, every: All = False, yes: Yes = False) -> None:
    """Print requests, and throw each away as soon as it is printed.

    Examples:  rfctl quarantine drop 1758000000000-0  |  rfctl quarantine drop --all --yes
    """
    chosen_ids = check_ids_or_all(ids, every=every, command="quarantine", check=check_id)
    question = "throw every request in quarantine away" if every else ""
    run_on_shelf(
        ctx, _QuarantineShelf, lambda requests: requests.drop(chosen_ids), question=question, yes=yes
    )


class _QuarantineShelf(Shelf[QuarantinedHead, QuarantinedRequest, dict[str, Any]]):
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

    async def count(self) -> int:
        return await self._store.quarantine.count()

    async def newest(self, limit: int) -> Sequence[QuarantinedHead]:
        return await self._store.quarantine.list_heads(limit)

    async def find_all(self, ids: Sequence[str]) -> Mapping[str, Sequence[QuarantinedHead]]:
        requests = {item_id: await self._store.quarantine.get(item_id) for item_id in ids}
        return {item_id: [request.head] if request else [] for item_id, request in requests.items()}

    def each(self) -> AsyncIterator[QuarantinedHead]:
        return self._store.quarantine.iterate()

    async def read(self, head: QuarantinedHead) -> QuarantinedRequest | None:
        return await self._store.quarantine.get(head.id)

    async def list_newest(self, limit: int) -> None:
        """Print the newest, and how to try one without storing it. Raises NothingFoundError if there is none."""
        await super().list_newest(limit)
        if not self.run.is_json:
            self.run.out.note(f"what is wrong with one: {self._build_trial_line('ID', 'SOURCE')}")

    async def show(self, item_id: str) -> None:
        """Print a request in full, and the command that tries it without storing it. Raises NothingFoundError."""
        await super().show(item_id)
        request = await self._store.quarantine.get(item_id)
        if request is not None and not self.run.is_json:
            self.run.out.note(f"try it: {self._build_trial_line(request.id, request.source)}")

    async def write_body(self, item_id: str) -> None:
        """Write the body of a request to stdout as it is. Raises NothingFoundError."""
        [head] = await self._find_all([item_id])
        request = await self.read(head)
        if request is not None:
            sys.stdout.buffer.write(request.body)
            sys.stdout.buffer.flush()

    def _build_trial_line(self, request_id: str, source: str) -> str:
        """Return the command line that reads a request by today's settings, and stores nothing."""
        run = self.run
        config = f"--config {shlex.quote(str(run.config))} " if run.config else ""
        place = "--embedded " if run.embedded else ""
        if run.redis:  # a password in it is for nobody's screen
            place = f"--redis {shlex.quote(run.redis) if mask_url(run.redis) == run.redis else 'URL'} "
        shown = f"rfctl {config}{place}quarantine show {request_id} --body"
        return f"{shown} | rfctl {config}source try {shlex.quote(source)}"

    async def try_again(self, head: QuarantinedHead) -> dict[str, Any]:
        request = await self.read(head)
        if request is None:
            return self._outcome(head, problem="another command has taken it meanwhile")
        self._retrying = self._retrying or await self._build_retry()
        result = await self._retrying.retry(request)
        return self._outcome(head, result.stored, result.skipped, result.problem)

    def _outcome(
        self,
        head: QuarantinedHead,
        stored: int = 0,
        skipped: Mapping[str, int] | None = None,
        problem: str = "",
    ) -> dict[str, Any]:
        return {
            **self.as_json(head),
            "stored": stored,
            "skipped": dict(skipped or {}),
            "problem": problem or None,
        }

    async def _build_retry(self) -> QuarantineRetry:
        settings = self._configuration.settings
        await use_daemon_options(self.run, self._store, settings)
        batcher = Batcher(self._store, build_rules(settings))
        return QuarantineRetry(self._store, batcher, build_sources(settings), settings.batching.placeholder)

    async def retry(self, ids: Sequence[str]) -> int:
        """Retry as every shelf does, and say how to look at what is left. Returns the exit status."""
        status = await super().retry(ids)
        if status and not self.run.is_json:
            self.run.out.note(f"without storing anything: {self._build_trial_line('ID', 'SOURCE')}")
        return status

    def is_left(self, outcome: dict[str, Any]) -> bool:
        return bool(outcome["problem"])

    @contextmanager
    def printing_outcomes(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        if self.run.is_json:
            with self.run.out.open_rows() as add:
                yield add
            return
        with open_table(self.run.out, ("id", "source", "parsed", "still in quarantine, because")) as add_row:
            yield lambda outcome: add_row(
                (outcome["id"], outcome["source"], _summarize(outcome), outcome["problem"] or "")
            )

    async def delete(self, item: QuarantinedRequest) -> bool:
        return await self._store.quarantine.drop(item.head.id)

    def as_json(self, head: QuarantinedHead) -> dict[str, Any]:
        return {
            "id": head.id,
            "came": format_rfc3339(head.at_ms),
            "source": head.source,
            "type": head.type,
            "why": head.why,
            "bytes": head.size,
        }

    def in_full(self, item: QuarantinedRequest) -> dict[str, Any]:
        """Return the body too: as the JSON that it is, to the digit, else as text."""
        pretty = None if find_json_fault(item.body) else _indent_json(item.body)
        body = _as_text(item.body) if pretty is None else msgspec.Raw(msgspec.json.format(pretty, indent=-1))
        return {**self.as_json(item.head), "body": body}

    def print_in_full(self, item: QuarantinedRequest) -> None:
        source = f"{item.source} ({item.type})"
        self.run.out.facts(
            [
                ("id", item.id),
                ("came", format_rfc3339(item.head.at_ms) or ""),
                ("source", source),
                ("why", item.why),
            ]
        )
        for line in (_indent_json(item.body) or _as_text(item.body)).split("\n"):
            self.run.out.draw(safe(line))  # whole lines can be copied

    def row(self, head: QuarantinedHead) -> tuple[str, ...]:
        came = format_rfc3339(head.at_ms) or ""
        return head.id, came, head.source, head.type, str(head.size), head.why


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
