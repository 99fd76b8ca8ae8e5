"""What is generated: config.example.toml, the lists of rfctl.toml(5), and in rfctl(7) the line of rights and the findings.

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
from rfctl.store.keys import Keyspace
from rfctl.store.rights import build_rights

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
MANUAL = ROOT / "man" / "rfctl.toml.5"
CONCEPTS = ROOT / "man" / "rfctl.7"
SETTING_NAMES = ROOT / "rfctl" / "cli" / "setting_names.py"
_RIGHTS = re.compile(r"(?s)(\.Ss Rights in Redis\n.*?\.Bd -literal -offset 2n\n).*?(\.Ed\n)")
_FINDINGS = re.compile(r"(?s)(\.Ss Findings\n.*?\.Bl -tag -width Ds\n).*?(\.El\n)")
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
    return {
        EXAMPLE: render_example(),
        MANUAL: manual_text(MANUAL.read_text()),
        CONCEPTS: findings_text(rights_text(CONCEPTS.read_text())),
        SETTING_NAMES: setting_names_text(),
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
