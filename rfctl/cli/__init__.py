"""The operator's tool: one file a command, each parses, calls and renders."""

import gc
import io
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process.

    The garbage collector is stopped until a command begins its work (`run_loop`). Modules are no garbage, and to look
    at them again and again while they are imported costs a fifth of the time of a short command.
    """
    gc.disable()
    for stream in (sys.stdout, sys.stderr):
        _let_all_be_written(stream)
    from rfctl.cli.app import run

    run()


def _let_all_be_written(stream: object) -> None:
    """Let no character be refused, whatever the locale: words of people and signs of ours are not all in Latin-1.

    A file or another program gets UTF-8, as JSON is. A terminal gets what it can show, and codes for the rest.
    """
    if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
        if stream.isatty():
            stream.reconfigure(errors="backslashreplace")
        else:
            stream.reconfigure(encoding="utf-8")
