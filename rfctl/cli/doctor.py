"""`rfctl doctor`: everything is looked at side by side; one line for each thing that is wrong, and for each topic that is right."""

from __future__ import annotations

from typing import Annotated

import typer

from rfctl.cli.context import Invocation, abandon_threads, invocation, run_async
from rfctl.errors import ANSWER_IS_NO, OK, UsageError


def doctor(
    ctx: typer.Context,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for a warning too.")] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Send one message through the running daemon, to no worker, and to no sink without probe = true.",
        ),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Print one text for a bug report: no secret, no phone and no message is in it."
        ),
    ] = False,
) -> None:
    """Look at everything, and say what is wrong, who set it and what to do: failures first.

    Nothing is written without --probe: its message goes on keys of its own, which go with it. It ends with 0, with 1 if something fails, and with --strict also if there is a warning.

    Examples:  rfctl doctor  |  rfctl doctor --probe  |  rfctl doctor -o json  |  rfctl doctor --report > report.txt
    """
    run = invocation(ctx)
    run.check_output()
    if report and run.is_json:
        raise UsageError("--report is a text", next="leave -o json out, or --report")
    run_async(_doctor(run, strict=strict, report=report, probes=probe))


async def _doctor(run: Invocation, *, strict: bool, report: bool, probes: bool) -> int:
    from rfctl.assembly.doctor import Doctor
    from rfctl.cli import doctor_view

    abandon_threads()
    configuration = run.configuration()
    diagnosis = await Doctor(configuration, probes=probes).diagnose()
    if report:
        from rfctl.cli.bug_report import build_report

        typer.echo(build_report(configuration, diagnosis), nl=False)
    elif run.is_json:
        run.out.json(doctor_view.as_json(diagnosis))
    else:
        run.out.draw(doctor_view.draw(diagnosis))
    return ANSWER_IS_NO if diagnosis.state == "fail" or (strict and diagnosis.state == "warn") else OK
