"""How answers of Redis are read, whatever another program has written there."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.store import replies


def test_text_is_never_refused() -> None:
    assert [replies.text(reply) for reply in (b"a", b"\xff", None, 7)] == ["a", "\ufffd", "", "7"]


def test_number_may_be_written_as_text() -> None:
    assert [replies.integer(reply) for reply in (7, b"7", b"-7")] == [7, 7, -7]
    assert replies.score(b"1758000000000.5") == 1758000000000


def test_last_of_two_fields_with_one_name_counts() -> None:
    assert replies.fields([b"a", b"1", b"b", b"2", b"a", b"3"]) == {"a": b"3", "b": b"2"}


def test_field_without_value_is_left_out() -> None:
    assert replies.fields([b"a", b"1", b"b"]) == {"a": b"1"}


def test_missing_answer_is_empty() -> None:
    assert (replies.array(None), replies.fields(None), replies.data(None)) == ([], {}, b"")


def test_deleted_entry_has_no_fields() -> None:
    assert replies.stream_entry([b"1-0", None]) == ("1-0", None)
    assert replies.stream_entries([[b"1-0", [b"a", b"1"]]]) == [("1-0", [b"a", b"1"])]


@pytest.mark.parametrize("read", [replies.array, replies.fields, replies.stream_entries, replies.facts])
def test_text_where_a_list_is_expected_is_an_error(read: Any) -> None:
    with pytest.raises(TypeError):
        read(b"text")


def test_list_where_text_is_expected_is_an_error() -> None:
    with pytest.raises(TypeError):
        replies.data([b"a"])
