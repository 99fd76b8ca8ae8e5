"""TAB in real shells, with the files that travel with the package: what it completes, and when it starts Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.shells import Shell

SETTINGS = """
[sinks.crm]
type = "http"
[sinks.bot]
type = "stdout"
[sources.salon]
type = "telegram"
"""
WORDS = {
    "rfctl pau\t": "rfctl pause",
    "rfctl dead ret\t": "rfctl dead retry",
    "rfctl stats --wa\t": "rfctl stats --watch",
    "rfctl -o tab\tstats": "rfctl -o table stats",
    "rfctl --json dead li\t": "rfctl --json dead list",
    "rfctl --redis redis://h qua\t": "rfctl --redis redis://h quarantine",
    "rfctl export completion z\t": "rfctl export completion zsh",
    "rfctl serve --role webh\t": "rfctl serve --role webhook",
    "rfctl config explain batching.quie\t": "rfctl config explain batching.quiet_ms",
    "rfctl source try --preset umn\t": "rfctl source try --preset umnico",
    "rfctl --config other.t\tstats": "rfctl --config other.toml stats",
}
"""What is typed without a question to rfctl, and the line that comes of it."""
NAMES = {
    "rfctl pause c\t": "rfctl pause crm",
    "rfctl dead list --sink b\t": "rfctl dead list --sink bot",
    "rfctl simulate --as sal\t": "rfctl simulate --as salon",
    "rfctl config explain sources.salon.secr\t": "rfctl config explain sources.salon.secrets",
    "rfctl --config other.toml pause au\t": "rfctl --config other.toml pause audit",
    "rfctl dead retry --sink=c\t": "rfctl dead retry --sink=crm",
}
"""What only rfctl knows, as the operator has chosen these names."""
FEW = ("rfctl pause c\t", "rfctl --config other.toml pause au\t")
"""Those that are asked for in every shell: each costs a start of Python."""


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("bash", tuple(NAMES)),
        ("zsh", FEW),
        ("fish", FEW),
        pytest.param("zsh", tuple(NAMES), marks=pytest.mark.long),
        pytest.param("fish", tuple(NAMES), marks=pytest.mark.long),
    ],
    ids=["bash", "zsh", "fish", "zsh-all", "fish-all"],
)
def test_tab_completes_words_by_itself_and_asks_for_names(
    name: str, asked: tuple[str, ...], tmp_path: Path
) -> None:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"needs {name} (Debian: apt-get install {name})")
    (tmp_path / "rfctl").mkdir()
    (tmp_path / "rfctl" / "config.toml").write_text(SETTINGS)
    (tmp_path / "other.toml").write_text("[sinks.audit]\ntype = 'stdout'\n")
    with Shell(name, program, tmp_path) as shell:
        lines = {keys: shell.type_line(keys).rstrip() for keys in WORDS}
        assert (lines, shell.count_asked()) == (WORDS, 0)
        lines = {keys: shell.type_line(keys).rstrip() for keys in asked}
        assert lines == {keys: NAMES[keys] for keys in asked}
        assert shell.count_asked() >= len(asked)
