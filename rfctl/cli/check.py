"""`rfctl check`: the findings as one line of Nagios, with its four exit statuses."""

from __future__ import annotations

import re
import sys
from typing import Annotated, NoReturn

import typer

from rfctl.cli.context import Invocation, abandon_threads, invocation, run_loop
from rfctl.errors import RfctlError, SettingsError

_UNKNOWN = 3
_UNITS = {"": 1000, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def check(
    ctx: typer.Context,
    warning: Annotated[
        str,
        typer.Option(
            "-w", "--warning", metavar="TIME", help="Warn if a batch is later than this: 2s, 500ms."
        ),
    ] = "2s",
    critical: Annotated[
        str, typer.Option("-c", "--critical", metavar="TIME", help="Fail if a batch is later than this.")
    ] = "10s",
) -> None:
    """Say in one line for Nagios, cron or Kubernetes whether rfctl works.

    It looks at all that `rfctl doctor` does, and how late the latest batch is.
    It ends with 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN: wrong options, or wrong settings).

    Examples:  rfctl check  |  rfctl check -w 2s -c 10s
    """
    run = invocation(ctx)
    limits = _parse_time("-w", warning), _parse_time("-c", critical)
    if limits[0] > limits[1]:
        end_unknown(f"-w {warning} is longer than -c {critical}")
    try:
        status = run_loop(_check(run, *limits))
        sys.stdout.flush()
    except RfctlError as problem:
        reasons = problem.problems if isinstance(problem, SettingsError) else []
        end_unknown(": ".join(filter(None, (problem.fact, "; ".join(reasons)))))
    raise typer.Exit(status)


def _parse_time(option: str, text: str) -> int:
    """Return a time in ms."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if match is None:
        end_unknown(f"{option} {text!r} is no time: write 500ms, 2s or 1m")
    return int(float(match[1]) * _UNITS[match[2]])


def end_unknown(fact: str) -> NoReturn:
    """Print why nothing can be told, and end with 3."""
    from rfctl.text import mask_urls, visible

    typer.echo(f"RFCTL UNKNOWN - {_plain(visible(mask_urls(fact)))}")
    raise typer.Exit(_UNKNOWN)


def _plain(text: str) -> str:
    """Return a text without the character by which Nagios ends it."""
    return text.replace("|", "/")


async def _check(run: Invocation, warning_ms: int, critical_ms: int) -> int:
    from rfctl.assembly.doctor import Doctor
    from rfctl.cli.nagios import judge

    abandon_threads()
    judgement = judge(await Doctor(run.configuration()).diagnose(), warning_ms, critical_ms)
    if run.is_json:
        run.out.json(judgement.as_json())
    else:
        typer.echo(judgement.line())
    return judgement.status
