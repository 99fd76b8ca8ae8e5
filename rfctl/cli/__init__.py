"""The operator's tool: one file a command, each parses, calls and renders."""

import gc

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process.

    The garbage collector is stopped until a command begins its work (`run_loop`). Modules are no garbage, and to look
    at them again and again while they are imported costs a fifth of the time of a short command.
    """
    gc.disable()
    from rfctl.cli.app import run

    run()
