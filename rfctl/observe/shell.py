"""Findings about the settings of this shell: they are not those of the daemons, or have a token that may be guessed."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.model.token import MIN_TOKEN_CHARS, RECIPE
from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot


def find_other_settings(snapshot: Snapshot, examination: Examination) -> Iterator[Finding]:
    """Find daemons that run on other settings than this shell has, for no reason that another finding names."""
    shell = examination.shell
    if shell is None:
        return
    ours = ", ".join(shell.files) or "no file"
    for daemon in snapshot.daemons:
        is_comparable = bool(daemon.settings_hash) and daemon.version == shell.version
        if not is_comparable or daemon.reload_refused or daemon.settings_hash == shell.settings_hash:
            continue
        theirs = ", ".join(daemon.files) or "no file"
        fact = f"daemon {daemon.pid} on {daemon.host} runs on other settings ({theirs}) than this shell has ({ours})"
        fix = f"rfctl config show says which; --config FILE uses the daemon's; kill -HUP {daemon.pid} reloads them"
        yield Finding("settings_unlike", "warning", "", fact, fix, set_by=ours)


def find_short_tokens(examination: Examination) -> Iterator[Finding]:
    """Find tokens that are so short that they may be guessed."""
    for name, set_by in examination.shell.short_tokens.items() if examination.shell else ():
        fact = f"{name} has fewer than {MIN_TOKEN_CHARS} characters, and may be guessed"
        fix = f"make another with {RECIPE}, and restart every daemon"
        yield Finding("token_short", "warning", name, fact, fix, set_by)
