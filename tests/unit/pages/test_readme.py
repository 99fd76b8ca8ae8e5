"""The README is short, says first what rfctl is, and its figures, defaults and pictures are those of the other pages."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rfctl.config.settings import Settings
from tests.support.moving_picture import STYLE, Run, draw, find_runs, read_colour
from tests.support.page_blocks import read_shell_lines

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
RECORDED = [
    (10.0, "rfctl runs here\r\n\r\n"),
    (10.5, "\x1b[2m 0.0 s \x1b[0m--> \x1b[38;5;37manna\x1b[0m    Привет, <b>\r\n"),
    (15.5, "\x1b[1m<-- \x1b[0manna\r\n\r\n18 messages in, 4 out\r\nYour turn\r\n"),
]


def test_it_is_short() -> None:
    assert len(PROSE.split()) <= 700


def test_its_first_sentence_says_what_it_is() -> None:
    first = README.removeprefix("# rfctl\n\n").partition("\n")[0]
    assert first.startswith(
        "**rfctl waits until a person has stopped typing, and hands your chat bot one message.**"
    )
    assert all(piece in README[:500] for piece in ("Привет,", "запишите", "меня на", "стрижку"))


def test_there_are_exactly_two_set_up_commands() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert [line for line in read_shell_lines("README.md") if "pip install" in line] == commands
    assert commands[0].endswith("/rfctl demo")
    assert "/pytest" in commands[1]


def test_its_timers_are_the_defaults() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", README, re.MULTILINE))
    batching = Settings().batching
    assert rows == {name: str(getattr(batching, name)) for name in ("quiet_ms", "max_size", "max_wait_ms")}


def test_its_figures_are_those_of_the_measured_page() -> None:
    section = README.partition("## How fast")[2].partition("\n## ")[0]
    figures = re.findall(r"\d+,\d{3}", section)
    measured = (ROOT / "docs" / "PERFORMANCE.md").read_text()
    assert figures
    assert [figure for figure in figures if figure not in measured] == []


def test_every_picture_says_what_it_shows() -> None:
    in_markdown = re.findall(r"!\[([^\]]*)\]\(docs/pictures/", README)
    in_html = re.findall(r'<img src="docs/pictures/[^"]+" alt="([^"]*)"', README)
    assert README.count("docs/pictures/") == len(in_markdown) + len(in_html) + README.count("<source ")
    assert all(len(words.split()) >= 8 for words in (*in_markdown, *in_html))


def test_moving_picture_is_small_whole_and_for_every_reader() -> None:
    text = PICTURE.read_text()
    assert len(text.encode()) <= 100_000
    assert STYLE in text
    assert "@media(prefers-reduced-motion:reduce){g{animation:none!important}}" in text
    assert re.findall(r"(?:href|src|url\(|@import|<script|<foreignObject|on\w+=)", text) == []
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    shown = " ".join(ElementTree.fromstring(text).itertext())
    assert "18 messages in, 4 merged messages out, 0 lost" in shown
    assert "Привет, запишите меня на стрижку" in shown


def test_runs_say_where_when_and_how_text_stands() -> None:
    assert find_runs(RECORDED)[:5] == [
        Run(0.0, 0, 0, "rfctl runs here", ""), Run(0.5, 2, 0, " 0.0 s ", "d"), Run(0.5, 2, 7, "--> ", ""),
        Run(0.5, 2, 11, "anna", "#00afaf"), Run(0.5, 2, 15, "    Привет, <b>", ""),
    ]  # fmt: skip


def test_picture_is_well_formed_and_ends_with_the_totals() -> None:
    shown = list(ElementTree.fromstring(draw(RECORDED)).itertext())
    assert "    Привет, <b>" in shown
    assert "18 messages in, 4 out" in shown
    assert "Your turn" not in shown


def test_picture_moves_as_it_was_recorded() -> None:
    motion = re.findall(r"@keyframes k\d+\{0%\{opacity:0\}([\d.]+)%", draw(RECORDED))
    all_s = 0.8 + 5.5 + 5.0
    assert [float(share) for share in motion] == pytest.approx(
        [80 / all_s, 130 / all_s, 630 / all_s], abs=0.01
    )


@pytest.mark.parametrize(("number", "colour"), [(16, "#000000"), (33, "#0087ff"), (231, "#ffffff")])
def test_colours_are_those_of_terminals(number: int, colour: str) -> None:
    assert read_colour(number) == colour
