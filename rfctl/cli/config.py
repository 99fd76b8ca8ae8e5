"""`rfctl config`: what is set, by whom, and what that overrides."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import typer

from rfctl.cli.context import invocation
from rfctl.config.example import example
from rfctl.config.loader import option, shown_value
from rfctl.config.options import NAMED, Option, configured, options
from rfctl.config.settings import Settings
from rfctl.errors import CannotWriteError, NothingFoundError, SettingsError, UsageError

app = typer.Typer(help="Show, explain and check the settings.", no_args_is_help=True)


@app.command("show")
def show(ctx: typer.Context) -> None:
    """Show every setting, its value, who set it and what that overrides. Secrets are masked."""
    from rfctl.cli import output as render

    run = invocation(ctx)
    configuration = run.configuration(notify=True)
    rows = [
        (one, shown_value(configuration, one), configuration.set_by(one.name), configuration.overrides(one))
        for one in configured(configuration.settings)
    ]
    if run.json:
        run.emit_rows(
            {"name": one.name, "value": value, "set_by": by, "overrides": overrides}
            for one, value, by, overrides in rows
        )
        return
    lines = [(one.name, _written(value), by, "; ".join(overrides)) for one, value, by, overrides in rows]
    render.console().print(render.table(("setting", "value", "set by", "overrides"), lines))


@app.command("explain")
def explain(ctx: typer.Context, key: str) -> None:
    """Explain one setting: rfctl config explain batching.quiet_ms."""
    from rfctl.cli import output as render

    run = invocation(ctx)
    one = _known(key)
    configuration = run.configuration(notify=True)
    section = _not_configured(configuration.settings, one)
    facts = {
        "name": one.name,
        "about": one.about,
        "kind": one.kind,
        "for": list(one.only),
        "default": one.default,
        "value": None if section else shown_value(configuration, one),
        "set_by": f"nobody: there is no [{section}]" if section else configuration.set_by(one.name),
        "overrides": configuration.overrides(one),
        "variable": one.variable,
    }
    if run.json:
        run.emit(facts)
    else:
        rows = [(name, _written(value)) for name, value in facts.items() if name != "for" or one.only]
        render.console().print(render.facts(rows))


def _known(key: str) -> Option:
    try:
        return option(key)
    except KeyError:
        import difflib

        section, name, _ = (*key.split("."), "", "")[:3]
        known = [
            one.name.replace("NAME", name or "NAME", 1) if section in NAMED else one.name for one in options()
        ]
        near = difflib.get_close_matches(key, known, n=3)
        raise NothingFoundError(
            f"there is no setting {key}",
            next=f"did you mean {' or '.join(near)}?" if near else "rfctl config show",
        ) from None


def _not_configured(settings: Settings, one: Option) -> str:
    """Return the named section that a setting would stand in when there is none, else ""."""
    section, _, _ = one.name.rpartition(".")
    kind, _, name = section.partition(".")
    return section if kind in NAMED and name not in getattr(settings, kind) else ""


@app.command("check")
def check(ctx: typer.Context) -> None:
    """Check the settings, and that every source and sink can be set up; all problems at once, exit status 78.

    Nothing is opened: no receiver is called, and Redis is not asked.

    Examples:  rfctl config check  |  rfctl config check --config new.toml
    """
    from rfctl.assembly.check import problems

    run = invocation(ctx)
    configuration = run.configuration(notify=True)
    if wrong := asyncio.run(problems(configuration.settings)):
        raise SettingsError(wrong, next="see `man rfctl.toml` or `rfctl config explain KEY`")
    if run.json:
        run.emit({"ok": True, "files": [str(path) for path in configuration.files]})
    else:
        read = ", ".join(str(path) for path in configuration.files) or "no file"
        typer.echo(f"the settings are right ({read})")


@app.command("path")
def path(ctx: typer.Context) -> None:
    """Print which files are looked for, and which of them are there."""
    run = invocation(ctx)
    environment = run.environment
    looked = [run.config] if run.config else [environment.system_file, environment.user_file]
    if run.json:
        run.emit_rows({"path": str(one), "exists": one.exists()} for one in looked)
        return
    for one in looked:
        typer.echo(f"{one}{'' if one.exists() else '  (not there)'}")


@app.command("init")
def init(
    ctx: typer.Context,
    stdout: bool = typer.Option(False, "--stdout", help="Print it instead of writing it."),
) -> None:
    """Write a settings file with every default in it, for your user (or to --config FILE)."""
    run = invocation(ctx)
    if stdout:
        typer.echo(example(), nl=False)
        return
    target = run.config or run.environment.user_file
    try:
        _create(target)
    except FileExistsError:
        raise UsageError(
            f"{target} is there already", next="rfctl config init --stdout prints a new one"
        ) from None
    except OSError as problem:
        raise CannotWriteError(
            f"{target} cannot be written: {problem.strerror}",
            next="name a file that you may write with --config FILE; rfctl config init --stdout prints it",
        ) from None
    typer.echo(str(target))


def _create(target: Path) -> None:
    """Write a new file for its user alone, or none: half of one would be in the way of the next try."""
    if not target.parent.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600, exist_ok=False)
    try:
        target.write_text(example(), encoding="utf-8")
    except OSError:
        target.unlink()
        raise


def _written(value: Any) -> str:
    if value is None:
        return "(unset)"
    if isinstance(value, dict):
        return _written([f"{name} = {one}" for name, one in value.items()])
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value) or "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else "(empty)"
