"""The changelog and the version of this tree go together: what is not released has not the name of a release."""

from __future__ import annotations

import re
from pathlib import Path

import rfctl

CHANGELOG = Path(__file__).parents[3] / "CHANGELOG.md"


def sections() -> dict[str, str]:
    """Return the text below each heading of a version, the newest first."""
    parts = re.split(r"(?m)^## \[([^]]+)\].*$", CHANGELOG.read_text())[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_tree_with_unreleased_changes_has_a_version_of_its_own() -> None:
    """Two different programs of one version cannot be told apart in a report, nor in the records of daemons."""
    texts = sections()
    if "Unreleased" in texts:
        release, _, number = rfctl.__version__.partition(".dev")
        assert number.isdigit(), "the version of a release, on a tree that is none"
        assert release not in texts
        assert f"It will be {release}." in texts["Unreleased"]
        assert rfctl.__version__ in texts["Unreleased"]
    else:
        assert rfctl.__version__ == next(iter(texts))
