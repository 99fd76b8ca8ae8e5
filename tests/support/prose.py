"""Splits a page (Markdown or mdoc) into its sentences, so that a test can measure how long they are.

Only prose counts: no code blocks, tables, headings, list marks, tags of lists or macros, and no type and default of
a setting. A name in code style is one word. A list item is a block of its own, and a sentence never goes over the end
of its block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_END = re.compile(r"(?<=\S[.!?])[\"'”’»)\]*_]*\s+|(?<=…)\s+(?=[A-ZА-Я])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|incl|no)|^\d+)\.$", re.IGNORECASE)
_ENDED = re.compile(r"[.!?:…][\"'”’»)\]*_]*$")
_WORD = re.compile(r"\w")

_FENCE = re.compile(r"(?ms)^[ ]*(`{3,}|~{3,}).*?^[ ]*\1[`~]*[ ]*$")
_COMMENT = re.compile(r"(?s)<!--.*?-->")
_CODE_SPAN = re.compile(r"(?s)(`+)(?!`).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"!?\[([^]]*)\](?:\([^)]*\)|\[[^]]*\])")
_SKIPPED_LINE = re.compile(r"\s*(?:#{1,6}\s|\||\[[^]]+\]:\s|[-*_=]{3,}\s*$)")
_LIST_MARK = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")

_INLINE_TEXT = {"Em", "Sy", "Dq", "Sq", "Pq", "Bq", "Qq", "No", "Va"}
_INLINE_CODE = {"Ql", "Cm", "Fl", "Ar", "Ev", "Pa", "Li", "Xr", "Nm", "Op", "Ic", "Dv", "Er", "Lk", "Aq"}
_PUNCTUATION = re.compile(r"[.,;:!?)\]]+")
_MDOC_ESCAPE = re.compile(r"\\(?:\(..|\[[^]]*\]|f.|[&\-e~ ])")
_FACT_OF_A_SETTING = re.compile(r"(?:Type|Default|For): ")
_SKIPPED_SECTION = {"SYNOPSIS", "SEE ALSO"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence. A phrase (an entry of a list without an end mark) is not `ended`."""

    text: str
    words: int
    ended: bool


def sentences_of(name: str, text: str) -> list[Sentence]:
    """Return the sentences of a page; its file name says whether it is Markdown or mdoc."""
    blocks = _blocks_of_markdown(text) if name.endswith(".md") else _blocks_of_mdoc(text)
    return [sentence for block in blocks for sentence in split_sentences(block)]


def mean_words(sentences: list[Sentence]) -> float:
    """Return the mean number of words of the sentences that end with a mark; phrases would pull it down."""
    counts = [sentence.words for sentence in sentences if sentence.ended]
    return sum(counts) / len(counts)


def split_sentences(block: str) -> Iterator[Sentence]:
    """Yield the sentences of one block of prose."""
    begin = 0
    text = " ".join(block.split())
    for end in _END.finditer(text):
        # An end mark ends a sentence also before a small letter: names like rfctl begin sentences.
        if not _ABBREVIATION.search(text[begin : end.start()]):
            yield from _as_sentence(text[begin : end.end()])
            begin = end.end()
    yield from _as_sentence(text[begin:])


def _as_sentence(text: str) -> Iterator[Sentence]:
    text = text.strip()
    words = sum(1 for word in text.split() if _WORD.search(word))
    if words:
        yield Sentence(text, words, ended=_ENDED.search(text) is not None)


def _blocks_of_markdown(text: str) -> list[str]:
    text = _FENCE.sub("\n\n", _COMMENT.sub("", text))
    text = _LINK.sub(r"\1", _CODE_SPAN.sub("code", text))
    blocks = [""]
    for line in text.splitlines():
        line = re.sub(r"^\s*>\s?", "", line)
        if not line.strip() or _SKIPPED_LINE.match(line):
            blocks.append("")
        elif mark := _LIST_MARK.match(line):
            blocks.append(line[mark.end() :])
        else:
            blocks[-1] += " " + line
    return blocks


def _blocks_of_mdoc(text: str) -> list[str]:
    blocks, section, literal = [""], "", False
    for line in text.splitlines():
        macro, _, rest = line[1:].strip().partition(" ") if line.startswith(".") else ("", "", line)
        if macro == "Sh":
            section = rest
        literal = macro == "Bd" if macro in {"Bd", "Ed"} else literal
        words = "" if literal or section in _SKIPPED_SECTION else _words_of_mdoc(macro, rest)
        if not words:
            blocks.append("")
        else:
            blocks[-1] += " " + words
    return blocks


def _words_of_mdoc(macro: str, rest: str) -> str:
    """Return the prose of one line; empty for a macro that ends a block (.Sh, .It, .Pp, .br …) or is a comment."""
    rest = _MDOC_ESCAPE.sub(lambda escape: '"' if escape[0] == r"\(dq" else "", rest)
    if not macro:
        return "" if _FACT_OF_A_SETTING.match(rest) else rest
    if macro not in _INLINE_TEXT | _INLINE_CODE:
        return ""
    tokens = rest.split()
    closing = ""
    while tokens and _PUNCTUATION.fullmatch(tokens[-1]):
        closing = tokens.pop() + closing
    return ("code" if macro in _INLINE_CODE else " ".join(tokens)) + closing
