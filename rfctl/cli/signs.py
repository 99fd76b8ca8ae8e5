"""The signs of states, with a colour each. A sign stands with a word: colour is never the only carrier."""

from __future__ import annotations

from typing import Literal

State = Literal["ok", "warn", "fail", "paused", "idle"]

SIGNS: dict[State, str] = {"ok": "●", "warn": "▲", "fail": "✖", "paused": "‖", "idle": "○"}
STYLES: dict[State, str] = {
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
    "paused": "yellow",
    "idle": "dim",
}
