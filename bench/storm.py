"""What kills of daemons and Redis lose, double or turn round: python -m bench storm --seconds 300 --seed 1 --server embedded

It prints a table with the seed, the versions and all figures. It ends by itself, with status 1 after a violation.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.storm import SETTLING_S, print_report, run_storm

KINDS = {"valkey": "embedded", "embedded": "embedded", "redis-server": "redis-server"}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A kill storm on daemons and Redis.")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--server", choices=KINDS, default="valkey", help="valkey is the one that is embedded"
    )
    parser.add_argument("--evidence", type=Path, help="a folder for logs after a violation")
    return parser.parse_args(arguments)


async def bounded(options: argparse.Namespace, evidence: Path) -> int:
    async with asyncio.timeout(2 * options.seconds + 5 * SETTLING_S):
        report = await run_storm(
            seconds=options.seconds, seed=options.seed, kind=KINDS[options.server], evidence=evidence
        )
    print_report(report, print)
    if report.violations:
        print(f"the logs are in {evidence}")
    return bool(report.violations)


def main() -> int:
    options = parse(sys.argv[1:])
    evidence = options.evidence or Path(tempfile.gettempdir()) / f"rfctl-storm-evidence-{options.seed}"
    return asyncio.run(bounded(options, evidence))


if __name__ == "__main__":
    sys.exit(main())
