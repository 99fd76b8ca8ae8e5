"""The names on pages for users, each held against the code: settings, variables, routes, findings, statuses, benches and words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

from bench.__main__ import PROGRAMS
from rfctl.config.options import NAMED, list_options
from rfctl.ingest.access import ACCESS
from rfctl.ingest.openapi import build_document
from rfctl.observe.finding import Code
from rfctl.page.openapi import describe_page
from tests.support.site.blocks import strip_blocks
from tests.support.site.navigation import DOCS, ROOT

_FOR_CONTRIBUTORS = {"ARCHITECTURE.md", "NAMING.md", "FAULTS.md", "PERFORMANCE.md"}
USER_PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md")),
    *(page for page in sorted(DOCS.rglob("*.md")) if page.name not in _FOR_CONTRIBUTORS and page.parent.name != "adr"),
]  # fmt: skip
"""What users read. Pages for contributors name functions and files too, and the log of changes what there was."""
OTHER_STATUSES = {
    "405": "another method, at any address",
    "410": "a receiver",
    "502": "a proxy",
    "504": "a proxy",
}
"""Statuses that no row of the OpenAPI document has, and who gives them."""
WORDS_OF_OTHERS = {
    "depends_on": "Compose", "jwt_key": "Evolution API", "secret_token": "Telegram", "phone_number_id": "Meta",
    "thread_id": "LangGraph",
}  # fmt: skip
_SPAN = re.compile(r"`([^`\n]+)`")
_SETTING = re.compile(r"(?P<section>[a-z]+)\.(?P<rest>[\w.-]+)(?:\s*=.*)?")
_VARIABLE = re.compile(r"(RFCTL_[A-Z_]+)(?:=.*)?")
_PATTERNS = {"RFCTL_SECTION__NAME", "RFCTL_SECTION__NAME__SETTING"}
_FILES = re.compile(r"\.(?:conf|py|md|toml|rdb)$|^http\.(?:request|response)\.|\.url$")
_STATUS = re.compile(
    r"(?<![\w.,:/-])[45]\d\d(?![\d.,:]*\d|\w| ?(?:MB|ms|s|bytes|lines|characters|KiB|messages|%|byte))"
)
_WORD = re.compile(r"[a-z]+(?:_[a-z]+)+")
_ROUTE = re.compile(r"(?:GET|POST|PUT|DELETE) /[^`\s?]*")
_BENCH = re.compile(r"(?:python -m bench|scripts/bench|python bench/)\s*([\w.-]+)")
_FINDING = re.compile(r"\bfindings? `(\w+)`")


def list_name_faults(text: str) -> list[str]:
    """Return each name of a page that the code does not have."""
    prose = re.sub(r"(?s)<!--.*?-->", "", strip_blocks(text))
    spans = _SPAN.findall(prose)
    return [
        *(f"no setting {span}" for span in spans if _is_wrong_setting(span)),
        *(f"no variable {span}" for span in spans if _is_wrong_variable(span)),
        *(f"no finding {code}" for code in _FINDING.findall(prose) if code not in get_args(Code)),
        *(
            f"no status {status}"
            for status in _STATUS.findall(_SPAN.sub("", prose))
            if status not in list_statuses()
        ),
        *(f"no route {route}" for span in spans for route in _ROUTE.findall(span) if not _is_route(route)),
        *(f"no bench {name}" for span in spans for name in _BENCH.findall(span) if name not in PROGRAMS),
        *(f"no name {span}" for span in spans if _WORD.fullmatch(span) and span not in list_words()),
    ]


def _is_wrong_setting(span: str) -> bool:
    match = _SETTING.fullmatch(span)
    if not match or _FILES.search(span.partition("=")[0].strip()) or match["section"] not in _list_sections():
        return False
    return not _is_setting(f"{match['section']}.{match['rest']}")


def _is_wrong_variable(span: str) -> bool:
    match = _VARIABLE.fullmatch(span)
    if not match or match[1] in _PATTERNS:
        return False
    return not _is_setting(match[1].removeprefix("RFCTL_").lower().replace("__", "."))


def _is_setting(name: str) -> bool:
    """Say whether a setting is there; in a section that the operator names, the name may be any. A bare section is none."""
    kind, _, rest = name.partition(".")
    if kind in NAMED:
        _, _, setting = rest.partition(".")
        name = f"{kind}.NAME.{setting}" if setting else ""
        return not setting or name in _list_settings()
    return name in _list_settings()


def _is_route(route: str) -> bool:
    """Say whether a route is served, or belongs to a provider: then its path begins with a name in capitals."""
    return (
        any(pattern.fullmatch(route) for pattern in _list_routes()) or route.partition("/")[2][:2].isupper()
    )


@cache
def _list_routes() -> tuple[re.Pattern[str], ...]:
    """Return a pattern for each row of the table of who may call what: a name in capitals is any."""
    rows = (re.sub(r"/[A-Z]+", "/[^/]+", re.escape(request)) for request, _, _ in ACCESS)
    return tuple(re.compile(row.replace("\\ /", " /")) for row in rows)


@cache
def _list_settings() -> frozenset[str]:
    return frozenset(option.name for option in list_options())


@cache
def _list_sections() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in _list_settings())


@cache
def list_statuses() -> frozenset[str]:
    """Return each status that a route may answer, and those of others."""
    document = build_document({}, describe_page("on", has_login=True))
    described = (
        status
        for path in document["paths"].values()
        for operation in path.values()
        for status in operation["responses"]
    )
    return frozenset(described) | OTHER_STATUSES.keys()


@cache
def list_words() -> frozenset[str]:
    """Return every word with an underscore in the code of rfctl, and those of others that pages name."""
    return frozenset(_read_words()) | WORDS_OF_OTHERS.keys()


def _read_words() -> Iterator[str]:
    for path in [*_list_code("*.py"), *_list_code("*.lua"), *_list_code("*.toml")]:
        yield from re.findall(r"[a-z]+(?:_[a-z]+)+", path.read_text())


def _list_code(pattern: str) -> list[Path]:
    return sorted((ROOT / "rfctl").rglob(pattern))
