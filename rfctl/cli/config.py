"""`rfctl config`: what is set, by whom, and what that hides."""

from __future__ import annotations

from typing import Any

import typer

from rfctl.cli.context import invocation
from rfctl.errors import NothingFoundError, UsageError
from rfctl.layers import shown_value
from rfctl.options import Option, configured, options

app = typer.Typer(help="Show, explain and check the settings.", no_args_is_help=True)


@app.command("show")
def show(ctx: typer.Context) -> None:
    """Show every setting, its value, who set it and what that hides. Secrets are masked."""
    from rfctl.cli import render

    run = invocation(ctx)
    configuration = run.configuration_told()
    rows = [
        (one, shown_value(configuration, one), configuration.set_by(one.name), configuration.hides(one))
        for one in configured(configuration.settings)
    ]
    if run.json:
        render.emit(
            [
                {"name": one.name, "value": value, "set_by": by, "hides": hides}
                for one, value, by, hides in rows
            ]
        )
        return
    lines = [(one.name, _written(value), by, "; ".join(hides)) for one, value, by, hides in rows]
    render.console().print(render.table(("setting", "value", "set by", "hides"), lines))


@app.command("explain")
def explain(ctx: typer.Context, key: str) -> None:
    """Explain one setting: rfctl config explain batching.quiet_ms."""
    from rfctl.cli import render

    run = invocation(ctx)
    known = {one.name: one for one in options()}
    if key not in known:
        import difflib

        near = difflib.get_close_matches(key, known, n=3)
        raise NothingFoundError(
            f"there is no setting {key}",
            next=f"did you mean {' or '.join(near)}?" if near else "rfctl config show",
        )
    one = known[key]
    configuration = run.configuration_told()
    facts = {
        "name": one.name,
        "about": one.about,
        "kind": one.kind,
        "default": one.default,
        "value": shown_value(configuration, one),
        "set_by": configuration.set_by(one.name),
        "hides": configuration.hides(one),
        "variable": one.variable,
    }
    if run.json:
        render.emit(facts)
    else:
        render.console().print(render.facts([(name, _written(value)) for name, value in facts.items()]))


@app.command("check")
def check(ctx: typer.Context) -> None:
    """Check the settings; all problems are listed at once, exit status 78."""
    from rfctl.cli import render

    run = invocation(ctx)
    configuration = run.configuration_told()
    if run.json:
        render.emit({"ok": True, "files": [str(path) for path in configuration.files]})
    else:
        read = ", ".join(str(path) for path in configuration.files) or "no file"
        typer.echo(f"the settings are right ({read})")


@app.command("path")
def path(ctx: typer.Context) -> None:
    """Print which files are looked for, and which of them are there."""
    from rfctl.cli import render

    run = invocation(ctx)
    environment = run.environment
    looked = [run.config] if run.config else [environment.system_file, environment.user_file]
    if run.json:
        render.emit([{"path": str(one), "exists": one.exists()} for one in looked])
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
    if target.exists():
        raise UsageError(f"{target} is there already", next="rfctl config init --stdout prints a new one")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(example(), encoding="utf-8")
    typer.echo(str(target))


def example() -> str:
    """Return config.example.toml: every setting, commented out, with its default."""
    lines = [
        "# rfctl: every setting with its default. Take away the # to change one.",
        "# Also RFCTL_SECTION__NAME in the environment, which wins over this file; `rfctl config show` tells who won.",
    ]
    section = ""
    for one in options():
        head, _, name = one.name.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{section}]"]
        lines += [f"# {one.about} ({one.kind})", f"# {name} = {_toml(one)}"]
    return "\n".join(lines) + "\n"


def _toml(one: Option) -> str:
    import tomli_w

    return tomli_w.dumps({"x": one.default}).removeprefix("x = ").strip()


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else "(empty)"
