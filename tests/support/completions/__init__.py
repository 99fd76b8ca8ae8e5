"""Files of completion for bash, zsh and fish, made from the commands themselves.

Each has every word that this version knows, so TAB starts no Python. It asks rfctl for names of sinks, sources and dead
letters alone.
"""

from __future__ import annotations

from tests.support.completions.bash import render_bash
from tests.support.completions.fish import render_fish
from tests.support.completions.tree import list_nodes
from tests.support.completions.zsh import render_zsh

__all__ = ["list_nodes", "render_bash", "render_fish", "render_zsh"]
