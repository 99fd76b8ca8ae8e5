"""What is generated: config.example.toml, the lists of rfctl.toml(5), in rfctl(7) the line of rights, the findings and the
metrics, the table of metrics in docs/NAMING.md, that of gateways in docs/gateways.md, completions/, and the parts of other
pages in docs/ that tests/support/site makes.

`python -m tests.support.documents --write` writes them anew; a test fails when one of them is out of date.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path

from rfctl.config.example import render_example
from rfctl.config.options import Option, list_options
from rfctl.observe.catalogue import CATALOGUE
from rfctl.observe.metrics import FAMILIES
from rfctl.store.keys import Keyspace
from rfctl.store.rights import build_rights
from tests.support.completions import list_nodes, render_bash, render_fish, render_zsh
from tests.support.gateway_table import gateways_text
from tests.support.site import list_site_documents

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
MANUAL = ROOT / "man" / "rfctl.toml.5"
CONCEPTS = ROOT / "man" / "rfctl.7"
NAMES = ROOT / "docs" / "NAMING.md"
GATEWAYS = ROOT / "docs" / "gateways.md"
COMPLETIONS = ROOT / "completions"
SETTING_NAMES = ROOT / "rfctl" / "cli" / "setting_names.py"
_RIGHTS = re.compile(r"(?s)(\.Ss Rights in Redis\n.*?\.Bd -literal -offset 2n\n).*?(\.Ed\n)")
_FINDINGS = re.compile(r"(?s)(\.Ss Findings\n.*?\.Bl -tag -width Ds\n).*?(\.El\n)")
_METRICS = re.compile(r"(?s)(\.Ss Metrics\n.*?\.Bl -tag -width Ds\n).*?(\.El\n)")
_METRICS_TABLE = re.compile(r"(?s)(\| metric \|[^\n]*\n\|[-|]*\|\n)(?:\|[^\n]*\n)*")
_LIST = ".Bl -tag -width Ds\n"
_SECTION = re.compile(r"(?ms)^\.Sh \[([^]]+)\]\n(.*?)(?=^\.Sh )")


def rights_text(page: str) -> str:
    """Return the page with the line of rights made anew, folded so that it fits a terminal."""
    line = build_rights(Keyspace(), 0).grant("rfctl").replace("-@", "\\-@")
    folded = "\n".join(textwrap.wrap(line, 76, break_long_words=False, break_on_hyphens=False))
    return _RIGHTS.sub(lambda match: f"{match[1]}{folded}\n{match[2]}", page)


def findings_text(page: str) -> str:
    """Return the page with the list of findings made anew."""
    entries = [
        f".It {code} Pq {meaning.severity}\n"
        + "".join(f"{line}\n" for line in _lines(f"{meaning.what} {meaning.remedy}"))
        for code, meaning in CATALOGUE.items()
    ]
    return _FINDINGS.sub(lambda match: f"{match[1]}{''.join(entries)}{match[2]}", page)


def metrics_text(page: str) -> str:
    """Return the page with the list of metrics made anew."""
    entries = [
        f".It {family.name}{_in_braces(family.labels)}\n{_escape(family.about)}\n"
        f"{'Each process has its own.' if family.whose == 'daemon' else 'All daemons say the same.'}\n"
        for family in FAMILIES.values()
    ]
    return _METRICS.sub(lambda match: f"{match[1]}{''.join(entries)}{match[2]}", page)


def _in_braces(labels: tuple[str, ...]) -> str:
    return f" {{{', '.join(labels)}}}" if labels else ""


def names_text(page: str) -> str:
    """Return the page with the table of metrics made anew."""
    rows = [
        f"| `{family.name}` | {', '.join(f'`{label}`' for label in family.labels)} | {family.whose} | {family.kind} |\n"
        for family in FAMILIES.values()
    ]
    return _METRICS_TABLE.sub(lambda match: match[1] + "".join(rows), page)


def manual_text(page: str) -> str:
    """Return the page with the first list of each section of settings made anew."""
    return _SECTION.sub(lambda section: _with_list(section[0], section[1]), page)


def _with_list(text: str, section: str) -> str:
    before, begin, rest = text.partition(_LIST)
    _, end, after = rest.partition("\n.El\n")
    entries = [_entry(option) for option in list_options() if option.name.rpartition(".")[0] == section]
    return before + begin + "\n".join(entries) + end + after


def _entry(option: Option) -> str:
    lines = [f".It {option.name.rpartition('.')[2]}"]
    lines += _lines(option.about)
    lines.append(".br")
    if option.only:
        lines.append(f"For: {', '.join(option.only)}.")
    lines += [f"Type: {option.kind}.", f"Default: {default_of(option)}."]
    return "\n".join(lines)


def _lines(text: str) -> list[str]:
    """Return each sentence on a line of its own, as mdoc wants it."""
    return [_escape(sentence) for sentence in re.split(r"(?<=[.!?]) ", text)]


def _escape(line: str) -> str:
    # A line that begins with a full stop or an apostrophe would be a macro.
    escaped = line.replace("\\", "\\e")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def default_of(option: Option) -> str:
    """Return the default as the manual writes it."""
    if option.default is None:
        return "unset"
    return json.dumps(option.default) if option.default != "" else "empty"


def setting_names_text() -> str:
    """Return the module with the names of all settings: completion reads them without the models."""
    head = '"""The names of all settings, for completion. `python -m tests.support.documents --write` makes it."""'
    names = [f'    "{option.name}",' for option in list_options()]
    return "\n".join([head, "", "SETTING_NAMES = (", *names, ")", ""])


def documents() -> dict[Path, str]:
    """Return each generated file with the text that it should have."""
    nodes = list_nodes()
    return {
        EXAMPLE: render_example(),
        MANUAL: manual_text(MANUAL.read_text()),
        CONCEPTS: metrics_text(findings_text(rights_text(CONCEPTS.read_text()))),
        NAMES: names_text(NAMES.read_text()),
        GATEWAYS: gateways_text(GATEWAYS.read_text()),
        SETTING_NAMES: setting_names_text(),
        **list_site_documents(),
        COMPLETIONS / "rfctl.bash": render_bash(nodes),
        COMPLETIONS / "_rfctl": render_zsh(nodes),
        COMPLETIONS / "rfctl.fish": render_fish(nodes),
    }


def main(arguments: list[str]) -> int:
    """Write what is out of date with --write, else name it. Returns the exit status."""
    stale = {
        path: text for path, text in documents().items() if not path.exists() or path.read_text() != text
    }
    for path, text in stale.items():
        if "--write" in arguments:
            path.write_text(text)
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return 0 if "--write" in arguments or not stale else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
