"""The words of the house: what a test can hold of docs/NAMING.md and of plain English, in code and pages.

Each check is first shown samples that it must find fault with, and some that it must let pass.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.prose import Sentence, mean_words, sentences_of, split_sentences

ROOT = Path(__file__).parents[3]
PACKAGE = sorted((ROOT / "rfctl").rglob("*.py"))
SOURCES = [*PACKAGE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "man").iterdir()),
    *sorted((ROOT / "docs").rglob("*.md")),
]

BANNED = {"one", "told", "said", "found", "given", "made", "known"}
_BANNED_WORD = rf"_*(?:{'|'.join(sorted(BANNED))})_*"
BOUND = re.compile(
    rf"\b{_BANNED_WORD}\s*(?:[-+*/%&^@<>|:]*=|[:,)\]}}|(\[\\#\n]|in\b|if\b)|(?:\b(?:as|def|class)\s|\*)\s*{_BANNED_WORD}\b",
    re.I,
)
"""What stands around a word in each place where a name is bound, and seldom in prose: most files need not be parsed."""
LEVELS = {level: level for level in ("debug", "info", "warning", "error", "critical")} | {
    "exception": "error"
}
LOGS = {"log", "logger", "get_logger"}
CALLED = re.compile(rf"\.\s*(?:{'|'.join(LEVELS)})\s*\(")
EVENT = re.compile(r"[a-z]+(_[a-z]+)+")
MEAN_WORDS, MAX_WORDS = 14, 30


BINDERS = (
    ast.Name, ast.arg, ast.Attribute, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.alias, ast.ExceptHandler,
    ast.MatchAs, ast.MatchStar, ast.MatchMapping,
)  # fmt: skip
"""The nodes that names_bound knows: the others, which are most, are left out before it asks what each is."""


def names_bound(node: ast.AST) -> Iterator[str]:
    """Yield each name that this node gives to something: variable, parameter, attribute, function, class, import."""
    match node:
        case (
            ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store())
        ):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name


def banned_names(source: str) -> list[str]:
    """Return `line: name` for each name that is a banned word, also with underscores around it."""
    if not BOUND.search(source):
        return []
    return [
        f"{getattr(node, 'lineno', 0)}: {name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, BINDERS)
        for name in names_bound(node)
        if name.strip("_").lower() in BANNED
    ]


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions, and the methods of classes, that have no underscore in front."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            yield from public_functions([*node.body, *node.orelse])


def undocumented(source: str) -> list[str]:
    """Return `line: name` for each public function whose docstring is missing, or whose first line has no period."""
    return [
        f"{function.lineno}: {function.name}"
        for function in public_functions(ast.parse(source).body)
        if not (ast.get_docstring(function) or "").partition("\n")[0].endswith(".")
    ]


def is_log(node: ast.expr) -> bool:
    """Say whether a method of this is a call of the log: `_log`, `self._log`, `_log.bind(…)`, `get_logger(…)`."""
    match node:
        case ast.Name(id=name) if name.strip("_") in LOGS:
            return True
        case ast.Attribute(attr=name, value=value):
            return name.strip("_") in LOGS or is_log(value)
        case ast.Call(func=func):
            return is_log(func)
    return False


@cache
def log_events(source: str) -> list[tuple[int, str, str]]:
    """Return line, name and level of each log event; an empty name where it is not written out in the call."""
    return list(find_log_events(source))


def find_log_events(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield them. A file that calls no method of a log is not parsed."""
    if not CALLED.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=log, attr=level), args=args) if level in LEVELS and is_log(
                log
            ):
                first = args[0] if args else None
                event = str(first.value) if isinstance(first, ast.Constant) else ""
                yield node.lineno, event, LEVELS[level]


def misnamed_events(source: str) -> list[str]:
    """Return `line: event` for each log event that is not words joined by underscores."""
    return [f"{line}: {event}" for line, event, _ in log_events(source) if not EVENT.fullmatch(event)]


def too_long(sentences: list[Sentence]) -> list[str]:
    """Return `words: text` of each sentence that is too long."""
    return [f"{each.words}: {each.text}" for each in sentences if each.words > MAX_WORDS]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def faults_in(paths: list[Path], check: Callable[[str], list[str]]) -> list[str]:
    """Return what a check has against each file, as `path:line: fault`."""
    return [f"{name_of(path)}:{fault}" for path in paths for fault in check(path.read_text())]


def test_no_name_is_a_banned_word() -> None:
    assert faults_in(SOURCES, banned_names) == []


def test_public_functions_say_what_they_do() -> None:
    assert faults_in(PACKAGE, undocumented) == []


def test_log_events_are_words_joined_by_underscores() -> None:
    assert faults_in(PACKAGE, misnamed_events) == []


def test_naming_page_lists_every_log_event_with_its_level() -> None:
    page = (ROOT / "docs" / "NAMING.md").read_text().partition("## Log events")[2]
    listed = re.findall(r"(?m)^\| `(\w+)` \| (\w+) \|", page)
    logged = {(event, level) for path in PACKAGE for _, event, level in log_events(path.read_text())}
    assert sorted(listed) == sorted(logged)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_sentences_of_a_page_are_short(path: Path) -> None:
    sentences = sentences_of(path.name, path.read_text())
    assert too_long(sentences) == []
    assert mean_words(sentences) <= MEAN_WORDS


@pytest.mark.parametrize(
    "source",
    [
        "one = 1",
        "one: int = 1",
        "self.found = 1",
        "class A:\n    made: int",
        "def told(): ...",
        "async def said(): ...",
        "def f(given): ...",
        "def f(*, known=1): ...",
        "lambda one: 1",
        "[1 for one in ()]",
        "for _, one in (): ...",
        "with f() as found: ...",
        "if (_found := 1): ...",
        "import x as made",
        "try: ...\nexcept E as told: ...",
        "match x:\n    case [one, *_]: ...",
        "match x:\n    case {**known}: ...",
        "match x:\n    case [*given]: ...",
        "ONE = 1",
        "_one_, x = f()",
        "(x, one) = f()",
        "[x, one] = f()",
        "one //= 2",
        "one |= 2",
        "if (one:=f()): ...",
        "for x.found in f(): ...",
        "for (one  # comment\n    ) in f(): ...",
        "one \\\n = 1",
        "(one\n) = 1",
        "with f() as x.found: ...",
        "from x import y as made  # comment",
        "import x as made; print()",
        "def f(*one): ...",
        "def f(** known): ...",
        "def f(one, /): ...",
        "class  made: ...",
        "match x:\n    case one if f(): ...",
        "match x:\n    case A(k=one): ...",
        "match x:\n    case (1 | 2) as found: ...",
    ],
)
def test_banned_name_is_noticed(source: str) -> None:
    assert len(banned_names(source)) == 1


@pytest.mark.parametrize(
    "source", ["print(x.one)", "f(one=1)", "'one'", "# one", "one_shard = 1", "foundation = 1", "print(one)"]
)
def test_name_that_is_only_read_or_only_similar_passes(source: str) -> None:
    assert banned_names(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(): ...",
        'def f():\n    """Do it"""',
        'def f():\n    """Do it\n\n    slowly.\n    """',
        "async def f(): ...",
        "class A:\n    def f(self): ...",
        "class A:\n    @property\n    def f(self): ...",
        "if x:\n    def f(): ...",
    ],
)
def test_missing_docstring_is_noticed(source: str) -> None:
    assert len(undocumented(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        'def f():\n    """Do it."""',
        'def f():\n    """Do it.\n\n    Slowly\n    """',
        "def _f(): ...",
        "class _A:\n    def f(self): ...",
        "class A:\n    def __init__(self): ...",
        'def f():\n    """Do it."""\n    def inner(): ...',
    ],
)
def test_docstring_that_is_there_or_not_needed_passes(source: str) -> None:
    assert undocumented(source) == []


@pytest.mark.parametrize(
    "source",
    [
        '_log.info("ready")',
        'self._log.error("Sink failed")',
        '_log.bind(sink="a").warning("sink-failed")',
        'structlog.get_logger("x").exception("bug")',
        '_log.info("sink_2_failed")',
        "_log.info(event)",
        '_log.info(f"sink_{state}")',
    ],
)
def test_misnamed_event_is_noticed(source: str) -> None:
    assert len(misnamed_events(source)) == 1


@pytest.mark.parametrize(
    "source", ['_log.info("sink_paused")', 'task.exception("no")', 'problems.error("no")', '_log.bind("no")']
)
def test_event_in_form_and_calls_of_others_pass(source: str) -> None:
    assert misnamed_events(source) == []


@pytest.mark.parametrize(
    ("block", "texts"),
    [
        ("One here. Two there! Three?", ["One here.", "Two there!", "Three?"]),
        ("It waits. rfctl goes on. code is set.", ["It waits.", "rfctl goes on.", "code is set."]),
        ('He said "stop." Then (he left.) Now.', ['He said "stop."', "Then (he left.)", "Now."]),
        (
            "Redis 6.2 or redis.url, e.g. a list, i.e. this.",
            ["Redis 6.2 or redis.url, e.g. a list, i.e. this."],
        ),
        ("Wait … for it… Then go.", ["Wait … for it…", "Then go."]),
        ("First: a colon; a semicolon, and - a dash.", ["First: a colon; a semicolon, and - a dash."]),
        ("Letters and . _ + are plain.", ["Letters and . _ + are plain."]),
        ("**Once.** No more.", ["**Once.**", "No more."]),
        ("over\ntwo   lines", ["over two lines"]),
        ("→ …", []),
    ],
)
def test_block_is_split_into_sentences(block: str, texts: list[str]) -> None:
    assert [sentence.text for sentence in split_sentences(block)] == texts


def measured(name: str, text: str) -> list[tuple[int, bool]]:
    return [(sentence.words, sentence.ended) for sentence in sentences_of(name, text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A heading of words\n\nThree words here.\n", [(3, True)]),
        ("Before:\n\n```sh\nrfctl stats. And more.\n```\n\nAfter it.", [(1, True), (2, True)]),
        ("| a table | is. No prose |\n|---|---|\n| at | all |", []),
        ("Set `batching.quiet_ms = 5. Or so` to [this page](https://example.com/a.b c).", [(5, True)]),
        (
            "- first item\n  goes on.\n- a phrase\n1. The third is numbered.",
            [(4, True), (2, False), (4, True)],
        ),
        ("It is one\nsentence on\nthree lines.", [(7, True)]),
        ("> A quotation is prose.\n\n<!-- a comment. Is not. -->", [(4, True)]),
    ],
)
def test_markdown_is_measured_without_its_marks(text: str, expected: list[tuple[int, bool]]) -> None:
    assert measured("page.md", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".Dd November 1, 2026\n.Sh A HEADING OF WORDS\nThree words here.\n", [(3, True)]),
        ("It has reasons (\n.Ql company\nand\n.Ql channel ) .\nNext.", [(6, True), (1, True)]),
        (".It Fl -count Ar n\nmessages of each,\n.Pp\nThe end.", [(3, False), (2, True)]),
        ("It is\n.Em very much a word .\nSee\n.Xr rfctl 1 .", [(6, True), (2, True)]),
        (".Bd -literal\nno prose. At all.\n.Ed\nProse.", [(1, True)]),
        (".Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Sh DESCRIPTION\nProse.", [(1, True)]),
        (r"It says \(dqmoves\(dq \- \fBnow\fR." + '\n.\\" a comment. Is not.', [(4, True)]),
        ("Two.\nLines.\n.br\nType: list of strings.\nDefault: [].", [(1, True), (1, True)]),
    ],
)
def test_mdoc_is_measured_without_its_macros(text: str, expected: list[tuple[int, bool]]) -> None:
    assert measured("rfctl.7", text) == expected


@pytest.mark.parametrize("name", ["page.md", "rfctl.7"])
def test_sentence_of_more_than_thirty_words_is_noticed(name: str) -> None:
    thirty = "and on " * 15
    assert too_long(sentences_of(name, f"{thirty.strip()}.\nShort.")) == []
    assert too_long(sentences_of(name, f"Short.\nSo {thirty.strip()}.\nShort."))[0].startswith(
        "31: So and on"
    )
    assert len(too_long(sentences_of(name, f"so {thirty}"))) == 1


def test_mean_leaves_phrases_out() -> None:
    assert mean_words(sentences_of("page.md", "- a\n- b\n- c\n\nFour words are here.\n\nTwo here.")) == 3
