"""Sessions: signed, bounded in time, and of one token."""

from __future__ import annotations

import pytest

from rfctl.page.sessions import LIFETIME_S, Session, Sessions


class Clock:
    """Unix time that a test moves, s."""

    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now_s


def open_session(sessions: Sessions) -> tuple[str, Session]:
    word = sessions.open()
    session = sessions.find(word)
    assert session is not None
    return word, session


def test_session_is_known_until_its_end_and_by_every_daemon_of_the_token() -> None:
    clock = Clock()
    here, there = Sessions("token", clock), Sessions("token", clock)
    word, session = open_session(here)
    assert there.find(word) == session
    assert there.make_csrf(session) == here.make_csrf(session)
    clock.now_s += LIFETIME_S - 1
    assert there.find(word) == session
    clock.now_s += 1
    assert there.find(word) is None
    assert not there.is_open(session)


def test_another_token_ends_all_sessions() -> None:
    word, session = open_session(Sessions("token"))
    other = Sessions("tokem")
    assert other.find(word) is None
    assert other.make_csrf(session) != Sessions("token").make_csrf(session)


def test_two_sessions_have_nothing_in_common() -> None:
    sessions = Sessions("token")
    (word, session), (other_word, other) = open_session(sessions), open_session(sessions)
    assert word != other_word
    assert sessions.make_csrf(session) != sessions.make_csrf(other)
    assert (sessions.find(word), sessions.find(other_word)) == (session, other)


@pytest.mark.parametrize("place", range(0, 90, 7))
def test_word_with_another_letter_is_no_session(place: int) -> None:
    sessions = Sessions("token")
    word = sessions.open()
    place = min(place, len(word) - 2)
    changed = word[:place] + ("A" if word[place] != "A" else "B") + word[place + 1 :]
    assert sessions.find(changed) is None


@pytest.mark.parametrize("word", ["", ".", "..", "9999999999.x.", "9999999999.x.sig", "é.ü.ж", "a" * 100_000])
def test_word_of_a_stranger_is_no_session(word: str) -> None:
    assert Sessions("token").find(word) is None


def test_csrf_word_opens_no_session() -> None:
    sessions = Sessions("token")
    word, session = open_session(sessions)
    assert sessions.find(word.rpartition(".")[0] + "." + sessions.make_csrf(session)) is None
