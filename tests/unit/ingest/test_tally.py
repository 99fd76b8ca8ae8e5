"""What became of the last requests is counted by source, and only the sums stay after ten minutes; messages are counted too."""

from __future__ import annotations

from rfctl.ingest.tally import MessageTally, Tally
from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store import RecentRequests


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_requests_are_counted_by_source_and_reason_those_with_rejected_ones_first() -> None:
    tally = Tally(Clock())
    tally.count("quiet")
    for _ in range(3):
        tally.count("salon")
        tally.count("salon", "signature")
    tally.count("salon", "invalid-body")
    recent = tally.read()
    assert list(recent) == ["salon", "quiet"]
    assert recent == {
        "salon": RecentRequests(3, {"signature": 3, "invalid-body": 1}, accepted_ago_s=0),
        "quiet": RecentRequests(1, {}, accepted_ago_s=0),
    }


def test_counts_go_after_ten_minutes_and_no_sooner() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.count("salon", "signature")
    clock.now = 9 * 60 + 59
    tally.count("salon", "signature")
    assert tally.read()["salon"].rejected == {"signature": 2}
    clock.now = 10 * 60
    assert tally.read()["salon"].rejected == {"signature": 1}
    clock.now = 20 * 60
    assert tally.read()["salon"].rejected == {}


def test_last_good_request_and_what_was_rejected_since_are_known_for_an_hour() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.count("salon")
    tally.count("salon", "signature")
    for minute in (3, 30):
        clock.now = minute * 60
        tally.count("salon", "signature")
    clock.now = 40 * 60
    assert tally.read() == {
        "salon": RecentRequests(0, {}, accepted_ago_s=2400, rejected_since={"signature": 2})
    }
    clock.now = 90 * 60
    assert tally.read() == {}
    tally.count("salon", "signature")
    assert tally.read()["salon"].rejected_since == {"signature": 3}
    assert tally.read()["salon"].accepted_ago_s == 5400


def test_accepted_request_ends_a_course_of_rejected_ones() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.count("salon", "signature")
    clock.now = 60
    tally.count("salon")
    assert tally.read()["salon"].rejected_since == {}


def test_other_settings_begin_a_new_count_and_keep_the_sums() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.count("salon")
    clock.now = 60
    tally.count("salon", "signature")
    tally.begin_anew()
    assert tally.read() == {"salon": RecentRequests(0, {}, accepted_ago_s=60)}
    tally.count("salon", "signature")
    assert tally.read()["salon"].rejected == {"signature": 1}
    assert tally.sum_up() == {("salon", "accepted"): 1, ("salon", "signature"): 2}


def test_very_many_sources_do_not_fill_the_record() -> None:
    tally = Tally(Clock())
    for number in range(200):
        tally.count(f"source-{number}")
    tally.count("broken", "signature")
    recent = tally.read()
    assert len(recent) == 50
    assert next(iter(recent)) == "broken"


def test_years_of_requests_take_no_memory() -> None:
    clock = Clock()
    tally = Tally(clock)
    for _ in range(1000):
        clock.now += 60
        tally.count("salon")
    assert len(tally._minutes) == 10


def test_sums_since_the_start_keep_the_minutes_that_are_forgotten() -> None:
    clock = Clock()
    tally = Tally(clock)
    for minute in range(30):
        clock.now = minute * 60
        tally.count("salon")
        tally.count("salon", "signature")
        tally.count("", "no-path")
    tally.read()
    assert tally.sum_up() == {
        ("salon", "accepted"): 30,
        ("salon", "signature"): 30,
        ("", "no-path"): 30,
    }


def test_request_of_no_source_is_no_source_that_was_rejected() -> None:
    tally = Tally(Clock())
    tally.count("", "no-path")
    assert tally.read() == {}
    assert tally.sum_up() == {("", "no-path"): 1}


def test_messages_are_counted_by_what_became_of_each() -> None:
    tally = MessageTally()
    stored, repeated = Added("7", True, 1, 5), Added("7", False, 1, 0)
    refused = Added("7", False, 0, 0, "the key is taken")
    salon, bot = [Message(phone="7", id="1", text="hi", channel=name) for name in ("salon", "bot")]
    tally.count([salon, bot, salon], [stored, stored, repeated])
    tally.count([bot, salon], [refused, stored])
    assert tally.sum_up() == {
        ("salon", "stored"): 2, ("salon", "duplicate"): 1, ("salon", "refused"): 0,
        ("bot", "stored"): 1, ("bot", "duplicate"): 0, ("bot", "refused"): 1,
    }  # fmt: skip


def test_words_of_our_own_side_are_not_counted_as_stored() -> None:
    tally = MessageTally()
    own, stored = Added("7", False, 1, 5, is_own=True), Added("7", True, 1, 5)
    message = Message(phone="7", id="1", text="hi", channel="salon")
    tally.count([message, message], [own, stored])
    tally.count([message], [own])
    assert tally.sum_up() == {
        ("salon", "stored"): 1, ("salon", "duplicate"): 0, ("salon", "refused"): 0, ("salon", "own"): 2,
    }  # fmt: skip
