"""`rfctl export`: files for other programs."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from rfctl.cli.context import invocation
from rfctl.errors import UsageError

app = typer.Typer(help="Print files for other programs.", no_args_is_help=True)


@app.callback()
def export() -> None:
    """Print files for other programs."""


@app.command("unit")
def unit(
    template: Annotated[
        bool, typer.Option("--template", help="The unit for several daemons on one host: rfctl@.service.")
    ] = False,
    reload: Annotated[
        bool, typer.Option("--notify-reload", help="What it has besides from systemd 253 on.")
    ] = False,
) -> None:
    """Print the systemd unit: rfctl export unit > /etc/systemd/system/rfctl.service.

    With --template it is for several daemons on one host, each with its name: rfctl@NAME.service. With --notify-reload
    it is a file for rfctl.service.d/ alone, with which `systemctl reload` waits (systemd 253 and later).
    """
    from rfctl.assembly.packaged import read_packaged

    if template and reload:
        raise UsageError(
            "--template and --notify-reload are two files",
            next="print each: the second goes to rfctl@.service.d/",
        )
    if reload:
        typer.echo(read_packaged("notify-reload.conf"), nl=False)
        return
    typer.echo(read_packaged("rfctl@.service" if template else "rfctl.service"), nl=False)


@app.command("socket")
def socket(
    template: Annotated[
        bool, typer.Option("--template", help="The socket for several daemons on one host: rfctl@.socket.")
    ] = False,
) -> None:
    """Print the socket unit, by which a restart loses no webhook: rfctl export socket > /etc/systemd/system/rfctl.socket."""
    from rfctl.assembly.packaged import read_packaged

    typer.echo(read_packaged("rfctl@.socket" if template else "rfctl.socket"), nl=False)


@app.command("tmpfiles")
def tmpfiles() -> None:
    """Print what makes /run/rfctl at the boot, for a daemon without our unit: rfctl export tmpfiles > /etc/tmpfiles.d/rfctl.conf."""
    from rfctl.assembly.packaged import read_packaged

    typer.echo(read_packaged("tmpfiles.d/rfctl.conf"), nl=False)


@app.command("alerts")
def alerts() -> None:
    """Print the alerts for Prometheus: rfctl export alerts > /etc/prometheus/rfctl.yml."""
    from rfctl.assembly.packaged import read_packaged

    typer.echo(read_packaged("alerts.yml"), nl=False)


@app.command("grafana")
@app.command("dashboard", hidden=True)  # its name until 0.2.0
def grafana() -> None:
    """Print the dashboard for Grafana, which imports it: rfctl export grafana > rfctl.json."""
    from rfctl.assembly.packaged import read_packaged

    typer.echo(read_packaged("grafana.json"), nl=False)


@app.command("openapi")
def openapi(ctx: typer.Context) -> None:
    """Print the OpenAPI document of the daemon's HTTP routes: rfctl export openapi > openapi.json.

    It has the sources of the settings in force. The daemon has the same at /openapi.json.
    """
    import json

    from rfctl.assembly.sources import build_sources
    from rfctl.ingest.openapi import build_document
    from rfctl.page import describe_page

    settings = invocation(ctx).configuration(notify=True).settings
    page = describe_page(settings.http.page_in_force, has_login=bool(settings.http.admin_token))
    document = build_document(build_sources(settings), page)
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


@app.command("completion")
def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")
    ],
) -> None:
    """Print what completes the words of rfctl in a shell. The wheel has these files below share/, too.

    bash reads ~/.local/share/bash-completion/completions/rfctl, and zsh _rfctl in a folder of $fpath.

    Examples:  source <(rfctl export completion bash)  |  rfctl export completion zsh > ~/.zfunc/_rfctl
      |  rfctl export completion fish > ~/.config/fish/completions/rfctl.fish
    """
    from rfctl.assembly.packaged import PackagedFile, read_packaged

    files: dict[str, PackagedFile] = {"bash": "rfctl.bash", "zsh": "_rfctl", "fish": "rfctl.fish"}
    typer.echo(read_packaged(files[shell]), nl=False)


@app.command("man")
def man(
    section: Annotated[
        Literal["1", "5", "7"], typer.Argument(metavar="SECTION", help="1: commands, 5: settings, 7: ideas.")
    ] = "1",
) -> None:
    """Print a page of the manual, as `man -l` reads it.

    Examples:  rfctl export man | man -l -  |  rfctl export man 5 > rfctl.toml.5
    """
    from rfctl.assembly.packaged import PackagedFile, read_packaged

    files: dict[str, PackagedFile] = {"1": "rfctl.1", "5": "rfctl.toml.5", "7": "rfctl.7"}
    typer.echo(read_packaged(files[section]), nl=False)


@app.command("acl")
def acl(
    ctx: typer.Context,
    user: Annotated[
        str | None,
        typer.Option(help="Name of the user in Redis; without it rfctl, or rfctl-GROUP for workers."),
    ] = None,
    server: Annotated[str, typer.Option(help="Version of Redis: 6.2, 7.0, 7.2 or later.")] = "7.0",
    worker: Annotated[
        str, typer.Option(help="Consumer group of your workers: print what rfctl.worker needs instead.")
    ] = "",
) -> None:
    """Print the line that makes a user of Redis with the rights that these settings need, and no others.

    Nothing is sent to Redis. Put a password in the place of PASSWORD.

    Examples:  rfctl export acl  |  rfctl export acl --user chat --server 7.2  |  rfctl export acl --worker bot
    """
    from rfctl.assembly.rights import build_all_rights, build_worker_rights

    if user is None:
        user = f"rfctl-{worker}" if worker else "rfctl"
    if not user or any(character.isspace() or character == "\0" for character in user):
        raise UsageError(f"{user!r} is no name of a user", next="use a name without spaces")
    run = invocation(ctx)
    settings = run.configuration(notify=True).settings
    rights = build_worker_rights(settings, worker) if worker else build_all_rights(settings)
    line = rights.grant(user)
    typer.echo(" ".join([line, *_list_rules_of(server)]))


def _list_rules_of(server: str) -> list[str]:
    """Return what a version of Redis needs besides. Raises UsageError."""
    major, _, rest = server.partition(".")
    minor = rest.partition(".")[0] or "0"
    if not (major.isdigit() and minor.isdigit()):
        raise UsageError(f"{server!r} is no version of Redis", next="write it as 7.2")
    version = (int(major), int(minor))
    if version < (6, 2):
        raise UsageError(f"rfctl does not work with Redis {server}", next="use Redis 6.2 or later, or Valkey")
    if version < (7, 0):
        return ["+unlink"]  # it stands for a flag that such a server does not know
    return ["+client|setinfo"] if version >= (7, 2) else []
