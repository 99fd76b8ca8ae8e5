"""Where the time goes: what py-spy writes, and the dearest places of it."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.profiled import build_part, find_dearest, read_places

RAW = """\
<module> (rfctl/__main__.py:7);run (asyncio/runners.py:118);buffer_updated (rfctl/daemon/http_protocol.py:120) 30
<module> (rfctl/__main__.py:7);run (asyncio/runners.py:118);buffer_updated (rfctl/daemon/http_protocol.py:128) 20
<module> (rfctl/__main__.py:7);run (asyncio/runners.py:118) 50
"""


def test_samples_are_counted_by_the_function_that_was_busy() -> None:
    assert read_places(RAW) == {
        "rfctl/daemon/http_protocol.py buffer_updated": 50,
        "asyncio/runners.py run": 50,
    }


def test_sample_without_a_stack_is_left_out() -> None:
    assert read_places(RAW + " 7\n") == read_places(RAW)


def test_shares_are_of_all_samples() -> None:
    assert [share for _, share in find_dearest(read_places(RAW))] == [50, 50]
    assert len(find_dearest(read_places(RAW), most=1)) == 1


def test_text_of_another_form_is_an_error() -> None:
    with pytest.raises(BenchError, match="another form"):
        read_places("what 3")


def test_part_has_a_table_for_each_tree() -> None:
    part = build_part([("Before", [("a.py f", 60.0)]), ("Now", [("b.py g", 40.0)])])
    assert "| `a.py f` | 60.0 |" in part
    assert "| `b.py g` | 40.0 |" in part
