"""`rfctl adopt`: take in lists of messages that nobody hands over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, Literal

import typer

from rfctl.cli.arguments import ask
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.shared_options import Yes
from rfctl.cli.steps import Steps, counting, passing_over
from rfctl.errors import ANSWER_IS_NO, NothingFoundError, UsageError
from rfctl.observe.person.sight import is_batch_key, parse_person
from rfctl.store import Adoption, Store, StrayList, find_home
from rfctl.text import counted, duration
from rfctl.timing import format_rfc3339

Change = Literal["", "grew", "shrank", "vanished", "expiry changed"]
_SLACK_MS = 100
"""A time to live that was read a moment later may be off by so much."""
_LEFT_TO_ACT_MS = 2000
"""A list is not watched longer than until so long before it expires."""
_OUTCOMES = {
    "adopted": "taken in, due now",
    "gone": "gone meanwhile",
    "claimed": "in the index already",
    "occupied": "left: its person has a pending batch; run it again when that has left",
    "nameless": "left: nothing tells whose it is; name the person with --as",
    "kept": "left as it is",
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """One stray list, and what became of it while it was watched."""

    stray: StrayList
    change: Change


def adopt(
    ctx: typer.Context,
    lists: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LIST", help="A key, or a person; by default every list that nobody hands over."
        ),
    ] = None,
    phone: Annotated[
        str, typer.Option("--as", metavar="PHONE", help="Whose a list is, where its name does not tell.")
    ] = "",
    watch_s: Annotated[
        float, typer.Option("--watch", min=0, max=600, help="How long to watch for another writer, seconds.")
    ] = 3.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show them, and change nothing.")] = False,
    yes: Yes = False,
) -> None:
    """Take in lists of messages that nobody hands over, and let them be due now.

    They were left by another program, or were renamed or restored. They are shown and watched first.

    Examples:  rfctl adopt --dry-run  |  rfctl adopt 79001234567 --yes  |  rfctl adopt backup:1 --as 79001234567
    """
    if phone and len(lists or ()) != 1:
        raise UsageError("--as goes with one list", next=f"rfctl adopt KEY --as {phone}")
    plan = _Plan(tuple(lists or ()), parse_person(phone) if phone else "", watch_s, dry_run, yes)
    run_async(_adopt(invocation(ctx), plan))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to take in, and how."""

    wanted: tuple[str, ...]
    phone: str
    watch_s: float
    is_dry_run: bool
    yes: bool

    def has(self, stray: StrayList) -> bool:
        """Whether this list was asked for: by its key, its batch key or its phone."""
        people = {text if is_batch_key(text) else parse_person(text) for text in self.wanted}
        return not self.wanted or stray.key in self.wanted or bool(people & {stray.phone, stray.batch_key})


async def _adopt(run: Invocation, plan: _Plan) -> int:
    async with run.store() as (store, _):
        search = store.strays.lists()
        strays = sorted([stray async for stray in search.iterate() if plan.has(stray)], key=_expiry)
        if search.unreadable:
            run.out.note(f"passed over {counted(search.unreadable, 'list')} that rfctl's user may not read")
        if not strays and plan.wanted:
            raise _not_found(plan, store)
        seen = await _watch(store, strays, plan.watch_s)
        if not run.is_json:
            _show(run, seen)
        if not search.is_complete:
            run.out.note("there are more keys than are searched: there may be more lists; run it again")
        if changing := [item.stray.key for item in seen if item.change]:
            run.out.note(_warning(changing))
        adoptions = await _take_in_all(run, store, seen, plan)
        await _note_missing_daemon(run, store, adoptions)
    return _report(run, seen, adoptions, plan, is_complete=search.is_complete)


def _expiry(stray: StrayList) -> tuple[float, str]:
    """Return what sorts lists: the soonest to expire first."""
    return (inf if stray.lives_ms is None else stray.lives_ms, stray.key)


def _not_found(plan: _Plan, store: Store) -> NothingFoundError:
    return NothingFoundError(
        f"no list of {', '.join(plan.wanted)} is left over in {store.address.shown()}",
        set_by=store.address.set_by,
        next="`rfctl adopt --dry-run` shows every such list; what is in the index is pending: `rfctl stats`",
    )


async def _watch(store: Store, strays: Sequence[StrayList], watch_s: float) -> list[_Seen]:
    """Look at the lists once more after a while. Another writer adds to a list, takes it or lets it expire anew."""
    if not strays:
        return []
    await asyncio.sleep(limit_watch(strays, watch_s))
    later = {stray.key: stray for stray in await store.strays.lists().look([stray.key for stray in strays])}
    return [
        _Seen(later.get(stray.key, stray), compare_looks(stray, later.get(stray.key))) for stray in strays
    ]


def limit_watch(strays: Sequence[StrayList], watch_s: float) -> float:
    """Return how long to watch these lists, seconds: none may expire because it was watched."""
    lives_ms = [stray.lives_ms for stray in strays if stray.lives_ms is not None]
    return min([watch_s, *(max(0, ms - _LEFT_TO_ACT_MS) / 1000 for ms in lives_ms)])


def compare_looks(before: StrayList, now: StrayList | None) -> Change:
    """Return what became of a list between two looks; None for a list that is stray no more."""
    if now is None:
        return "vanished"
    if now.messages != before.messages:
        return "grew" if now.messages > before.messages else "shrank"
    is_renewed = now.lives_ms is not None and now.lives_ms > (before.lives_ms or -1) + _SLACK_MS
    is_lifted = now.lives_ms is None and before.lives_ms is not None
    return "expiry changed" if is_renewed or is_lifted else ""


def _warning(keys: Sequence[str]) -> str:
    some = ", ".join(keys[:5])
    return (
        f"another program still writes: {counted(len(keys), 'list')} changed while watched ({some}). Stop it first: "
        "it takes what you adopt, or lets it expire"
    )


async def _take_in_all(
    run: Invocation, store: Store, seen: Sequence[_Seen], plan: _Plan
) -> dict[str, Adoption]:
    """Take in what can be, after asking; returns what came of each list by its key."""
    chosen = [item.stray for item in seen if item.change != "vanished" and find_home(item.stray, plan.phone)]
    if plan.is_dry_run or not chosen:
        return {}
    count = sum(stray.messages for stray in chosen)
    ask(f"take in {counted(len(chosen), 'list')} with {counted(count, 'message')}, due now", yes=plan.yes)
    adoptions: dict[str, Adoption] = {}
    steps = Steps("list", "taken in")
    with counting(run.out, steps):
        for stray in chosen:
            with passing_over(run.out, steps, stray.key):
                adoptions[stray.key] = await store.strays.adopt(stray, plan.phone)
                steps.add(adoptions[stray.key].outcome == "adopted")
    return adoptions


async def _note_missing_daemon(run: Invocation, store: Store, adoptions: Mapping[str, Adoption]) -> None:
    is_any = any(adoption.outcome == "adopted" for adoption in adoptions.values())
    if is_any and not any(daemon.is_scheduler for daemon in await store.daemons.list_alive()):
        run.out.note(
            "no daemon is alive that hands them over: start `rfctl serve`, or run `rfctl flush PHONE`"
        )


def _show(run: Invocation, seen: Sequence[_Seen]) -> None:
    rows = [
        (
            item.stray.phone or "-",
            str(item.stray.messages),
            "never" if item.stray.lives_ms is None else f"in {duration(item.stray.lives_ms)}",
            format_rfc3339(item.stray.oldest_ms or None) or "-",
            item.stray.writer,
            item.change or "still",
            item.stray.key,
        )
        for item in seen
    ]
    if rows:
        headings = ("phone", "messages", "expires", "oldest", "written by", "watched", "key")
        run.out.table(headings, rows, right=frozenset({1}))


def _outcome(item: _Seen, adoptions: Mapping[str, Adoption], plan: _Plan) -> str:
    if item.stray.key in adoptions:
        return adoptions[item.stray.key].outcome
    if item.change == "vanished":
        return "gone"
    return "kept" if find_home(item.stray, plan.phone) else "nameless"


def _report(
    run: Invocation,
    seen: Sequence[_Seen],
    adoptions: Mapping[str, Adoption],
    plan: _Plan,
    *,
    is_complete: bool,
) -> int:
    outcomes = {item.stray.key: _outcome(item, adoptions, plan) for item in seen}
    left = sum(outcome in ("occupied", "nameless", "kept") for outcome in outcomes.values())
    if run.is_json:
        rows = [
            _as_json(item, outcomes[item.stray.key], adoptions.get(item.stray.key, Adoption("gone", 0, 0)))
            for item in seen
        ]
        run.out.json({"lists": rows, "dry_run": plan.is_dry_run, "left": left, "complete": is_complete})
    elif not seen:
        run.out.text("there is no list that nobody hands over")
    elif plan.is_dry_run:
        count = sum(outcome == "kept" for outcome in outcomes.values())
        run.out.text(f"{counted(count, 'list')} would be taken in")
    else:
        for key, outcome in outcomes.items():
            run.out.text(f"{key}: {_OUTCOMES[outcome]}{_describe_quarantined(adoptions.get(key))}")
    return ANSWER_IS_NO if left and not plan.is_dry_run else 0


def _describe_quarantined(adoption: Adoption | None) -> str:
    if adoption is None or not adoption.quarantined:
        return ""
    return f"; {counted(adoption.quarantined, 'item')} without a text in quarantine (rfctl quarantine list)"


def _as_json(item: _Seen, outcome: str, adoption: Adoption) -> dict[str, Any]:
    stray = item.stray
    return {
        "key": stray.key,
        "batch_key": stray.batch_key or None,
        "phone": stray.phone or None,
        "messages": stray.messages,
        "expires_in_ms": stray.lives_ms,
        "oldest": format_rfc3339(stray.oldest_ms or None),
        "written_by": stray.writer,
        "changed": item.change or None,
        "outcome": outcome,
        "quarantined": adoption.quarantined,
    }
