"""The blocks of code in a page: commands, the files that it shows, what a command prints, and why a block is not run.

A block ` ```toml title="bot.toml" ` is a file. A block `text` straight behind a block `sh` is what its last command prints,
with figures that may differ and `…` for anything. A comment `<!-- not run: REASON -->` stands on the line before a block.
A comment `<!-- before: COMMAND -->` is what a test types first, where the reader has it running for long: a daemon.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REASONS = {
    "needs root": "it changes the machine",
    "needs a provider": "somebody else's service answers it",
    "needs a remote host": "it fetches what is not on this machine",
    "is an example": "it names what a reader may have; the command and its options are checked",
    "has a test of its own": "a test runs it with the parts around it that the page describes",
}
"""Why a block may be left out: a closed list."""
COMMANDS = ("sh", "console")
_FENCE = re.compile(r"(?m)^([ ]*)```(\w*)([^\n`]*)\n((?:.*\n)*?)\1```$")
_TITLE = re.compile(r'title="([^"]+)"')
_BEFORE = re.compile(r"(?m)^<!-- before: ([^\n]*?) -->$")
_NOT_RUN = re.compile(r"<!-- not run: ([^\n]*?) -->\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code. `kind` is its language, `title` the file that it is, `reason` why it is not run ("" for none)."""

    kind: str
    code: str
    line: int
    title: str = ""
    reason: str = ""
    output: str = ""

    @property
    def commands(self) -> list[str]:
        """The commands of a block of them, each with its continued lines; none of another block."""
        return split_commands(self.code, self.kind) if self.kind in COMMANDS else []


def list_blocks_of(text: str) -> list[Block]:
    """Return the blocks of a page, in their order, without their indentation."""
    fences = list(_FENCE.finditer(text))
    blocks: list[Block] = []
    for place, fence in enumerate(fences):
        since = fences[place - 1].end() if place else 0
        blocks += [
            Block("sh", f"{unseen[1]}\n", text.count("\n", 0, unseen.start()) + 1)
            for unseen in _BEFORE.finditer(text, since, fence.start())
        ]
        before = text[: fence.start()].rpartition("\n\n")[2]
        reason = _NOT_RUN.search(before)
        title = _TITLE.search(fence[3])
        behind = fences[place + 1] if place + 1 < len(fences) else None
        between = text[fence.end() : behind.start()] if behind else "x"
        is_output = behind is not None and behind[2] == "text" and _is_introduction(between)
        blocks.append(
            Block(
                kind=fence[2],
                code=_unindent(fence[4], len(fence[1])),
                line=text.count("\n", 0, fence.start()) + 1,
                title=title[1] if title else "",
                reason=reason[1] if reason else "",
                output=_unindent(behind[4], len(behind[1])) if behind and is_output else "",
            )
        )
    return blocks


def strip_blocks(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", text)


def _is_introduction(between: str) -> bool:
    """Say whether nothing, or one paragraph that ends in a colon, is between a command and what it prints."""
    words = between.strip()
    return not words or ("\n\n" not in words and words.endswith(":"))


def _unindent(code: str, indent: int) -> str:
    return "".join(line[indent:] for line in code.splitlines(keepends=True))


def split_commands(code: str, kind: str = "sh") -> list[str]:
    """Return the commands of a block: a quoted text and a line that ends in a backslash go on."""
    commands, begun = [], ""
    lines = code.splitlines()
    if kind == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        begun = f"{begun}\n{line}" if begun else line
        if line.endswith("\\") or not _is_whole(begun):
            continue
        if words := strip_comment(begun):
            commands.append(words)
        begun = ""
    assert not begun, f"a command does not end: {begun}"
    return commands


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def strip_comment(command: str) -> str:
    """Return a command without the comment behind it."""
    return re.sub(r"(?m)(^|\s{2,})#.*$", "", command).strip()


def read_blocks(path: Path) -> list[Block]:
    """Return the blocks of a page. Raises AssertionError for a reason that is not in the list."""
    blocks = list_blocks_of(path.read_text())
    for block in blocks:
        assert not block.reason or block.reason in REASONS, f"{path.name}:{block.line}: {block.reason}"
    return blocks
