from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sources.generic.elements import Element, Walk, keep_apart, split_lists
from tests.support.recorded import ANY_JSON

EACH = "a.*.b.c.*"


def find(body: Any, each: str = EACH) -> tuple[list[Element], int]:
    raw = json.dumps(body).encode()
    elements = Walk(split_lists(each), []).find_elements(raw, json.loads(raw))
    return elements.messages, elements.count_unread([])


@pytest.mark.parametrize(
    ("each", "lists"),
    [
        ("", []),
        ("/", [()]),
        ("*", [()]),
        ("a", [("a",)]),
        ("a.*", [("a",)]),
        ("/a.0.b", [("a", "0", "b")]),
        ("a.*.b.*", [("a",), ("b",)]),
        ("a.*.*", [("a",), ()]),
    ],
)
def test_each_names_the_steps_to_every_list(each: str, lists: list[tuple[str, ...]]) -> None:
    assert split_lists(each) == lists


def test_element_knows_the_values_around_it() -> None:
    body = {"a": [{"b": {"c": []}}, {"n": 1, "b": {"c": [{"m": 1}, {"m": 2}]}}]}
    messages, unread = find(body)
    assert [element.stack for element in messages] == [[body, body["a"][1], {"m": m}] for m in (1, 2)]
    assert [element.name_place() for element in messages] == ["message 1.0: ", "message 1.1: "]
    assert unread == 0


@pytest.mark.parametrize(
    ("body", "unread"),
    [
        ({"a": [{"b": {"c": [{}]}}], "z": [{}, {}, 5]}, 2),
        ({"a": [{"b": {"c": [{}], "z": [{}]}, "y": [{}]}]}, 2),
        ({"a": [{"b": {"c": [{}]}}, {"b": {}}, {"b": None}, {}]}, 3),
        ({"a": [{"b": {"c": [{}]}}], "z": {"y": [{}]}, "x": []}, 0),
    ],
)
def test_objects_beside_the_lists_are_counted(body: Any, unread: int) -> None:
    assert find(body)[1] == unread


def test_index_in_each_leaves_the_others_aside() -> None:
    messages, unread = find({"a": [{"b": [{}]}, {"b": [{}]}, {"b": []}]}, "a.1.b")
    assert (len(messages), unread) == (1, 2)


@given(st.lists(st.lists(ANY_JSON, max_size=3), max_size=3))
def test_element_that_is_kept_apart_is_found_again_with_what_is_around_it(lists: list[list[Any]]) -> None:
    body = {"top": 1, "a": [{"n": place, "b": {"c": items}} for place, items in enumerate(lists)]}
    raw = json.dumps(body).encode()
    walk = Walk(split_lists(EACH), [])
    messages = walk.find_elements(raw, json.loads(raw)).messages
    for element, kept in zip(messages, keep_apart([(each, "why") for each in messages]), strict=True):
        [again] = walk.find_elements(kept.body, json.loads(kept.body)).messages
        assert again.raw == element.raw
        assert (again.stack[0]["top"], again.stack[1]["n"]) == (1, element.stack[1]["n"])
