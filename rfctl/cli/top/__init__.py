"""`rfctl top`: a screen for an operator, with keys for what they do most. Textual is imported here alone, when it opens."""

from rfctl.cli.top.command import top

__all__ = ["top"]
