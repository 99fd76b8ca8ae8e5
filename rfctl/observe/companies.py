"""Findings about names that are made of a company: where it is missing, the messages go to a name of nobody."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding


def find_unset_companies(examination: Examination) -> Iterator[Finding]:
    """Find sources without a company, where a sink makes a name of the company."""
    for unset in examination.unset_companies:
        fact = (
            f"source {unset.source} has no company, and {unset.setting} has {{company}}: a message that names none goes to "
            f"{unset.filled}"
        )
        fix = f"set sources.{unset.source}.company, or take {{company}} out of {unset.setting}"
        yield Finding("company_unset", "warning", unset.source, fact, fix, unset.set_by)
