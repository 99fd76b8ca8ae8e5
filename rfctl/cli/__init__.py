"""The operator's tool: one file a command, each parses, calls and renders."""


def main() -> None:
    """Run the command line of this process."""
    from rfctl.cli.app import run

    run()
