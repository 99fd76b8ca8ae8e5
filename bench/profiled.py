"""Where the daemon's time goes while messages come in, function by function: python -m bench profile

py-spy looks at the daemon while wrk loads it. A share is that of the samples in which the daemon was busy in that very
function, with what it calls of C. `--before FOLDER` profiles another tree of rfctl too. `--out` gets profile.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.callgrind import ROOT
from bench.contenders import open_server, serve_rfctl
from bench.errors import BenchError
from bench.load import run_wrk
from bench.options import build_parser
from tests.support.parents import tie_to_parent

CONNECTIONS, RATE_HZ, WARM_UP_S = 64, 250, 2
PLACES = 10
_FRAME = re.compile(r"(?P<function>\S+) \((?P<file>.+?)(?::\d+)?\)$")


def read_places(raw: str) -> Counter[str]:
    """Return how many samples ended in each function, from the text of `py-spy record --format raw`.

    A sample without a stack was taken while it changed: it is left out.
    """
    places: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack:
            continue
        frame = _FRAME.search(stack.rpartition(";")[2])
        if frame is None:
            raise BenchError(f"py-spy wrote a line of another form: {line[-200:]}")
        places[f"{frame['file']} {frame['function']}"] += int(count)
    return places


def find_dearest(places: Counter[str], most: int = PLACES) -> list[tuple[str, float]]:
    """Return the places with most samples, and the share of each in percent."""
    total = sum(places.values())
    return [(place, 100 * count / total) for place, count in places.most_common(most)]


def profile_tree(tree: Path, seconds: float) -> list[tuple[str, float]]:
    """Load a daemon of this tree, and return its dearest places."""
    server = open_server()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder,
            serve_rfctl(Path(folder), server, PYTHONPATH=str(tree)) as live,
        ):
            run_wrk(live.url, CONNECTIONS, WARM_UP_S, prefix="warm")
            return find_dearest(read_places(record(live.pids[0], live.url, seconds, Path(folder) / "raw")))
    finally:
        server.stop()


def record(pid: int, url: str, seconds: float, file: Path) -> str:
    """Return what py-spy has seen of a process while it was loaded."""
    command = ["py-spy", "record", "--nonblocking", "--pid", str(pid), "--rate", str(RATE_HZ)]
    command += ["--format", "raw", "--duration", f"{seconds:.0f}", "--output", str(file)]
    program = str(Path(sys.executable).with_name("py-spy"))
    try:
        spy = subprocess.Popen(
            tie_to_parent([program, *command[1:]]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except FileNotFoundError:
        raise BenchError("py-spy is not installed (pip install py-spy)") from None
    run_wrk(url, CONNECTIONS, seconds + 1, prefix=f"{time.time_ns():x}")
    _, errors = spy.communicate(timeout=60)
    if spy.returncode or not file.exists():
        raise BenchError(f"py-spy failed: {errors.decode()[-300:]}")
    return file.read_text()


def build_part(places: Iterable[tuple[str, list[tuple[str, float]]]]) -> str:
    """Return the part of the page: a table for each tree."""
    lines = ["## The dearest places", "", __doc__.partition("\n\n")[2].strip() if __doc__ else "", ""]
    for name, dearest in places:
        lines += [f"{name}:", "", "| place | share, % |", "|---|---|"]
        lines += [f"| `{place}` | {share:.1f} |" for place, share in dearest] + [""]
    return "\n".join(lines)


def main() -> int:
    """Profile this tree, and another one. Returns the exit status."""
    parser = build_parser("Profiles the daemon while messages come in.", cycles=1, seconds=15)
    parser.add_argument("--before", type=Path, help="another tree of rfctl")
    options = parser.parse_args()
    trees = [("Before", options.before)] if options.before else []
    places = [(name, profile_tree(tree, options.seconds)) for name, tree in [*trees, ("Now", ROOT)]]
    page = build_part(places)
    print(page)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "profile.md").write_text(page)
    return 0
