"""The signs of states, with a colour each. A sign stands with a word: colour is never the only carrier."""

from __future__ import annotations

from rfctl.observe.words import State

SIGNS: dict[State, str] = {"ok": "●", "warn": "▲", "fail": "✖", "paused": "‖", "idle": "○"}
STYLES: dict[State, str] = {
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
    "paused": "yellow",
    "idle": "dim",
}
