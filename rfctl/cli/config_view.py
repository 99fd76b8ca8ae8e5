"""The work of `rfctl config`, which needs the models of all settings."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from rfctl.cli.context import Invocation, note, run_loop
from rfctl.cli.source_view import explain_source, load_with_notices
from rfctl.config.loader import Configuration
from rfctl.config.options import (
    NAMED,
    Option,
    configured_options,
    find_option,
    is_default,
    list_options,
)
from rfctl.config.settings import Settings
from rfctl.config.toml_text import render_configuration
from rfctl.errors import CannotWriteError, NothingFoundError, RfctlError, SettingsError, UsageError
from rfctl.text import did_you_mean, visible_in_toml


def show_settings(run: Invocation, *, secrets: bool, to: Path | None, changed: bool) -> None:
    """Print every setting, or with `changed` those that are not as by default; or write a settings file."""
    _check_show_options(run.output, secrets=secrets, to=to, changed=changed)
    configuration = load_with_notices(run)
    run_loop(_note_what_runs(configuration))
    if run.output == "toml":
        _show_toml(configuration, secrets=secrets, to=to)
        return
    _show_rows(run, configuration, changed=changed)


def _show_rows(run: Invocation, configuration: Configuration, *, changed: bool) -> None:
    settings = configuration.settings
    rows = [
        (
            option.name,
            configuration.value_to_show(option),
            configuration.set_by(option.name),
            configuration.overrides(option),
        )
        for option in _sort_by_section(configured_options(settings))
        if not changed or not is_default(settings, option.name)
    ]
    if run.is_json:
        columns = ("name", "value", "set_by", "overrides")
        run.out.rows(dict(zip(columns, row, strict=True)) for row in rows)
        return
    lines = [
        (name, _as_text(value) + _say_in_force(settings, name), by, "; ".join(losers))
        for name, value, by, losers in rows
    ]
    if lines:
        run.out.table(("setting", "value", "set by", "overrides"), lines)
    else:
        run.out.note("every setting is as by default")


def _say_in_force(settings: Settings, name: str) -> str:
    """Return what a value comes to that depends on others, "" for all other settings."""
    http = settings.http
    return f" ({http.page_in_force})" if name == "http.page" and http.page == "auto" else ""


def _sort_by_section(options: Iterable[Option]) -> list[Option]:
    """Put the settings of each named section together; the sections stay in their order."""
    sections: dict[str, list[Option]] = {}
    for option in options:
        sections.setdefault(option.name.rpartition(".")[0], []).append(option)
    return [option for section in sections.values() for option in section]


async def _note_what_runs(configuration: Configuration) -> None:
    """Say on stderr which living daemons run on other settings than these; without Redis nobody can tell."""
    from rfctl.assembly.store import open_store
    from rfctl.config.fingerprint import compute_fingerprint

    with contextlib.suppress(RfctlError):
        store = open_store(configuration, max_connections=1)
        try:
            daemons = await store.daemons.list_alive()
        finally:
            await store.close()
        ours = compute_fingerprint(configuration.settings)
        for daemon in daemons:
            if daemon.socket_unit:
                note(
                    f"daemon {daemon.pid} on {daemon.host} listens on {daemon.describe_listener()}: "
                    "it does not use http.host and http.port"
                )
            if daemon.settings_hash not in ("", ours):
                note(
                    f"daemon {daemon.pid} on {daemon.host} runs on other settings than these: "
                    f"kill -HUP {daemon.pid}, or systemctl reload rfctl"
                )


def _check_show_options(output: str, *, secrets: bool, to: Path | None, changed: bool) -> None:
    if output == "toml" and changed:
        raise UsageError("--changed is not for a settings file", next="in it, defaults are comments already")
    if output != "toml" and (secrets or to):
        raise UsageError("--secrets and --to are for a settings file", next="add -o toml")
    if secrets and to is None:
        raise UsageError(
            "secrets are not printed: a terminal and a log remember them",
            next="name a new file with --to FILE",
        )


def _show_toml(configuration: Configuration, *, secrets: bool, to: Path | None) -> None:
    text = render_configuration(configuration, with_secrets=secrets)
    if to is None:
        typer.echo(visible_in_toml(text) if sys.stdout.isatty() else text, nl=False)
        return
    create_file(to, text, "name another file with --to FILE")
    typer.echo(str(to))


def explain_setting(run: Invocation, key: str) -> None:
    """Print what a setting is, its value and who set it; or all of a source. Raises NothingFoundError."""
    if key.startswith("sources.") and key.count(".") == 1:
        explain_source(run, key)
        return
    option = _find(key)
    configuration = load_with_notices(run)
    section = _missing_section(configuration.settings, option)
    facts = {
        "name": option.name,
        "about": option.about,
        "kind": option.kind,
        "for": list(option.only),
        "default": option.default,
        "value": None if section else configuration.value_to_show(option),
        "set_by": f"nobody: there is no [{section}]" if section else configuration.set_by(option.name),
        "overrides": configuration.overrides(option),
        "variable": option.variable,
    }
    if run.is_json:
        run.out.json(facts)
    else:
        rows = [(name, _as_text(value)) for name, value in facts.items() if name != "for" or option.only]
        run.out.facts(rows)


def _find(key: str) -> Option:
    try:
        return find_option(key)
    except KeyError:
        section, name, _ = (*key.split("."), "", "")[:3]
        names = [
            option.name.replace("NAME", name or "NAME", 1) if section in NAMED else option.name
            for option in list_options()
        ]
        near = did_you_mean(key, names).removeprefix("; ")
        raise NothingFoundError(f"there is no setting {key}", next=near or "rfctl config show") from None


def _missing_section(settings: Settings, option: Option) -> str:
    """Return the named section that a setting would stand in when its value cannot be shown, else ""."""
    section, _, setting = option.name.rpartition(".")
    kind, _, name = section.partition(".")
    if kind not in NAMED:
        return ""
    config = getattr(settings, kind).get(name)
    return "" if config is not None and hasattr(config, setting) else section


def check_settings(run: Invocation) -> None:
    """Check the settings, and that every source and sink can be set up. Raises SettingsError with all problems."""
    from rfctl.assembly.check import find_problems

    configuration = load_with_notices(run)
    if problems := run_loop(find_problems(configuration.settings)):
        raise SettingsError(problems, next="see `man rfctl.toml` or `rfctl config explain KEY`")
    if run.is_json:
        run.out.json({"ok": True, "files": [str(path) for path in configuration.files]})
    else:
        read = ", ".join(str(path) for path in configuration.files) or "no file"
        typer.echo(f"the settings are right ({read})")


def create_file(target: Path, text: str, elsewhere: str, if_there: str = "", mode: int = 0o600) -> None:
    """Write a new file, for its user alone unless `mode` says otherwise, or none: half of one would be in the way of the next try."""
    try:
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=0o600, exist_ok=False)
        target.chmod(mode)
        try:
            target.write_text(text, encoding="utf-8")
        except OSError:
            target.unlink()
            raise
    except FileExistsError:
        raise UsageError(f"{target} is there already", next=if_there or elsewhere) from None
    except OSError as problem:
        raise CannotWriteError(f"{target} cannot be written: {problem.strerror}", next=elsewhere) from None


def _as_text(value: Any) -> str:
    if value is None:
        return "(unset)"
    if isinstance(value, dict):
        return _as_text([f"{name} = {inner}" for name, inner in value.items()])
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else "(empty)"
