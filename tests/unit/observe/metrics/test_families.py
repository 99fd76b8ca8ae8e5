"""The names of metrics keep the conventions of Prometheus and those of docs/NAMING.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rfctl.observe.metrics import FAMILIES, Family

ROOT = Path(__file__).parents[4]
UNITS = re.compile(r"milliseconds|minutes|hours|_ms\b|_s\b|kilobytes|megabytes")
OF_A_PERSON = {
    "phone",
    "company",
    "text",
    "id",
    "message",
    "chat",
    "account",
    "batch_key",
    "subject",
    "group",
}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_name_keeps_the_conventions(family: Family) -> None:
    assert re.fullmatch(r"rfctl(_[a-z]+)+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert not UNITS.search(family.name)
    assert family.name.endswith(("_seconds", "_messages")) or family.kind != "histogram"
    assert not re.search(r"_(sum|count|bucket|created)$", family.name)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_name_says_whose_it_is(family: Family) -> None:
    is_of_a_daemon = family.name.startswith(("rfctl_daemon_", "rfctl_build_", "rfctl_redis_"))
    assert is_of_a_daemon == (family.whose == "daemon")
    assert ("take max" in family.help) == (family.whose == "all")


def test_no_two_names_are_the_same_family_to_openmetrics() -> None:
    bases = [name.removesuffix("_total") for name in FAMILIES]
    assert len(bases) == len(set(bases))


def test_no_label_is_a_persons_or_anybodys_word() -> None:
    assert {label for family in FAMILIES.values() for label in family.labels} & OF_A_PERSON == set()


def test_naming_page_explains_every_label() -> None:
    page = (ROOT / "docs" / "NAMING.md").read_text()
    table = page.partition("| label | values |")[2].partition("\n\n")[0]
    explained = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row[1:].partition("|")[0])
    }
    assert explained == {label for family in FAMILIES.values() for label in family.labels}
