"""What a strict reader of JSON refuses, although the grammar allows it; pure."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.model.strict_json import MAX_DEPTH, find_json_fault


@pytest.mark.parametrize(
    "number",
    [
        "1e999",
        "-1e999",
        "1E+400",
        "1.5e309",
        "0.1e0310",
        "1" + "0" * 309,
        "-" + "9" * 5_000,
        "1" * 200 + "e200",
    ],
)
@pytest.mark.parametrize("body", ['{{"a":{0}}}', '[1, [{{"b": [{0}]}}]]', '{{"a":"\\"x","b":{0} }}'])
def test_number_that_becomes_infinite_is_found_anywhere(number: str, body: str) -> None:
    raw = body.format(number)
    fault = find_json_fault(raw.encode())
    assert fault.startswith("the number ")
    assert len(fault) < 80


@pytest.mark.parametrize(
    "body",
    [
        '{"a":1e308}', '{"a":1e-999}', '{"a":"1e999"}', '{"1e999":1}', '{"a":"\\\\\\"1e999"}', '{"id":"3E99AB"}',
        '{"a":' + "9" * 308 + "}", '{"a":0e999}', "[]", "{}",
    ],
)  # fmt: skip
def test_number_that_every_reader_takes_is_no_fault(body: str) -> None:
    assert find_json_fault(body.encode()) == ""


@given(st.recursive(st.floats(allow_nan=False) | st.text() | st.integers(), st.lists, max_leaves=20))
def test_fault_is_found_where_and_only_where_python_reads_infinity(value: object) -> None:
    raw = json.dumps(value).replace("-Infinity", "-1e999").replace("Infinity", "1e999")
    numbers: list[float] = []
    json.loads(raw, parse_float=lambda text: numbers.append(float(text)))
    assert bool(find_json_fault(raw.encode())) == any(map(math.isinf, numbers))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_is_bounded(opening: str, closing: str) -> None:
    depth = MAX_DEPTH // (2 if opening == '[{"a":' else 1)
    good = opening * depth + "1" + closing * depth
    assert find_json_fault(good.encode()) == ""
    assert find_json_fault(("[" + good + "]").encode()) == f"nested more than {MAX_DEPTH} deep"


def test_many_brackets_side_by_side_or_in_strings_are_no_nesting() -> None:
    assert find_json_fault(b"[" + b'[],{},"[[[[{{{{",' * 5_000 + b"1]") == ""
