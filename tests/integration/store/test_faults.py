"""Batches while Redis refuses something, or one batch is odd: nothing is lost, doubled or held up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from rfctl.batching import Rule
from rfctl.errors import CredentialsRefusedError, RfctlError
from rfctl.model.message import Media, Message
from rfctl.observe import findings, take_snapshot
from rfctl.store import scripts
from rfctl.store.batch_measures import BatchMeasures
from rfctl.store.connection import Connection
from rfctl.store.scripts import Script, ScriptLibrary
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock
from tests.support.keys import SHARD
from tests.support.servers import RedisServer, patient_address
from tests.support.waiting import until

PHONES = ["1", "2", "3", "4"]
COMMANDS = [
    "rpush", "zadd", "zrem", "del", "set", "sadd", "hset", "hincrby", "xadd", "xdel", "publish", "pubsub", "llen", "lindex",
    "lrange", "sismember", "scard", "hgetall", "hmget", "time", "zscore", "zcard", "xlen", "hlen", "zrangebyscore",
    "zcount", "zrange", "zrevrangebyscore",
]  # fmt: skip
PATTERNS = ["rapid-fire:*", "last-msg:*", "rfctl:due", "rfctl:out", "rfctl:totals", "rfctl:ids*", "rfctl:phones",
    "rfctl:set-aside", "rfctl:held*", "rfctl:clock"]  # fmt: skip
NO_QUESTIONS = "local redis = setmetatable({ acl_check_cmd = false }, { __index = redis })\n"
"""Stands before a script: Redis 6.2 cannot be asked for rights."""
LYING_ANSWERS = (
    "local redis = setmetatable({ acl_check_cmd = function() return true end }, { __index = redis })\n"
)
"""Stands before a script: the order of its writes alone must keep the messages."""


def message(phone: str, number: int, **more: Any) -> Message:
    return Message(phone=phone, text=str(number), id=str(number), channel="generic", **more)


@pytest.fixture(params=["asked", "tried", "lied"])
async def limited(
    request: pytest.FixtureRequest,
    server: RedisServer,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Connection]:
    """A connection as a user of its own, on a server that can be asked for rights, and on one that cannot."""
    await connection.call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all")
    if request.param != "asked":
        line = NO_QUESTIONS if request.param == "tried" else LYING_ANSWERS
        plain = ScriptLibrary.script

        def script(library: ScriptLibrary, verb: str) -> Script:
            plain_script = plain(library, verb)
            shebang, _, rest = plain_script.text.partition("\n")
            return scripts.Script(verb, f"{shebang}\n{line}{rest}", plain_script.reads_clock)

        monkeypatch.setattr(ScriptLibrary, "script", script)
    url = server.url.replace("redis://", "redis://limited:pw@")
    opened = Connection.open(patient_address(url))
    yield opened
    await opened.close()
    await connection.call("ACL", "DELUSER", "limited")


async def add_until_stored(rig: Rig, messages: list[Message]) -> bool:
    """Send as a provider does: again after a failure. Says whether it is stored."""
    for _ in range(3):
        try:
            results = await rig.add(messages)
        except RfctlError:
            continue
        return not any(result.rejected for result in results)
    return False


async def work(rig: Rig, first: int) -> list[Message]:
    """Send, hand over and send again; returns what was acknowledged."""
    stored: list[Message] = []
    for number in range(first, first + 4):
        for phone in PHONES:
            sent = [message(phone, number, chat="family" if phone == "4" else "")]
            if await add_until_stored(rig, sent):
                stored += sent
        try:
            await rig.drain()
        except RfctlError:
            continue
    return stored


async def outcome(rig: Rig) -> Counter[tuple[str, str]]:
    await rig.drain()
    return Counter(
        (merged.phone, item.messageId) for merged in await rig.collect() for item in merged.messages
    )


@pytest.mark.parametrize("command", COMMANDS)
async def test_right_that_is_taken_away_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, connection: Connection, limited: Connection, command: str
) -> None:
    """With pairs of messages a batch: a batch is full at 2, so that messages leave in the intake too."""
    is_lied_to = request.node.callspec.params["limited"] == "lied"
    allowed = 1 if command == "sadd" and is_lied_to else 0  # a mark that fails, and nobody asked before
    rig, sound = make_rig(limited, max_size=2), make_rig(connection, max_size=2)
    stored = await work(rig, 0)
    await connection.call("ACL", "SETUSER", "limited", f"-{command}")
    stored += await work(rig, 100)
    await connection.call("ACL", "SETUSER", "limited", f"+{command}")
    stored += await work(rig, 200)
    counts = await outcome(sound)
    lost = [each for each in stored if not counts[each.phone, each.id]]
    doubled = [key for key, count in counts.items() if count > 1]
    assert lost == []
    assert bool(doubled) <= bool(allowed)
    assert await connection.call("ZCARD", SHARD.due) == 0


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_keys_that_are_taken_away_lose_and_double_nothing(
    connection: Connection, limited: Connection, pattern: str
) -> None:
    rig, sound = make_rig(limited, max_size=2), make_rig(connection, max_size=2)
    stored = await work(rig, 0)
    others = [f"~{other}" for other in PATTERNS if other != pattern]
    await connection.call("ACL", "SETUSER", "limited", "resetkeys", *others)
    stored += await work(rig, 100)
    await connection.call("ACL", "SETUSER", "limited", "~*")
    stored += await work(rig, 200)
    counts = await outcome(sound)
    assert [each for each in stored if not counts[each.phone, each.id]] == []
    assert [key for key, count in counts.items() if count > 1] == []


async def follow(connection: Connection, subscribed: asyncio.Event, notice: Callable[[bytes], None]) -> None:
    async for event in connection.follow_channel("rfctl:events:0", subscribed):
        notice(event)


async def test_user_without_channels_takes_in_and_hands_over_while_somebody_follows(
    connection: Connection, limited: Connection
) -> None:
    subscribed, events = asyncio.Event(), list[bytes]()
    following = asyncio.create_task(follow(connection, subscribed, events.append))
    await subscribed.wait()
    rig = make_rig(limited, max_size=2)
    try:
        await rig.add([message("9", 1)])
        await until(lambda: events)
        await connection.call("ACL", "SETUSER", "limited", "resetchannels")
        for number in range(4):
            added = await rig.add([message(phone, number) for phone in PHONES])
            assert [(each.added, each.rejected) for each in added] == [(True, "")] * 4
        await rig.drain()
    finally:
        following.cancel()
    assert [merged.count for merged in await rig.collect()] == [2] * 8 + [1]
    assert await connection.call("HLEN", SHARD.set_aside) == 0


async def test_list_that_acl_denies_stays_in_the_index(connection: Connection, limited: Connection) -> None:
    rig = make_rig(limited, quiet_ms=1)
    await rig.add([message("1", 1)])
    others = [f"~{other}" for other in PATTERNS if not other.startswith("rapid-fire")]
    await connection.call("ACL", "SETUSER", "limited", "resetkeys", *others)
    with pytest.raises(CredentialsRefusedError):
        await rig.drain()
    assert await connection.call("ZCARD", SHARD.due) == 1
    await connection.call("ACL", "SETUSER", "limited", "~*")
    assert (await rig.drain()).batches == 1
    assert (await rig.store.pending()).totals.get("keys_taken") is None


@pytest.mark.parametrize("key", ["rapid-fire:1", "rfctl:due"])
async def test_key_that_acl_denies_is_not_called_taken(
    connection: Connection, limited: Connection, key: str
) -> None:
    pattern = f"{key.partition(':')[0]}:*" if key.startswith("rapid") else key
    others = [f"~{other}" for other in PATTERNS if other != pattern]
    await connection.call("ACL", "SETUSER", "limited", "resetkeys", *others)
    with pytest.raises(CredentialsRefusedError):
        await make_rig(limited).add([message("1", 1)])
    assert await connection.call("EXISTS", "rapid-fire:1") == 0


@pytest.fixture
def odd_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in our own Lua on one item, the text 13, and on no other."""
    plain = ScriptLibrary.script

    def script(library: ScriptLibrary, verb: str) -> Script:
        plain_script = plain(library, verb)
        text = plain_script.text.replace(
            "local function text_of(item, stop)\n",
            "local function text_of(item, stop)\nif sub(item, 13, 14) == '13' then error('odd') end\n",
        )
        return scripts.Script(verb, text, plain_script.reads_clock)

    monkeypatch.setattr(ScriptLibrary, "script", script)


@pytest.mark.usefixtures("odd_item")
async def test_batch_that_is_set_aside_is_not_measured(
    timed: Connection, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, lists, add = make_rig(timed), list[Sequence[int]](), BatchMeasures.add

    def note(measures: BatchMeasures, numbers: Sequence[int]) -> None:
        lists.append(numbers)
        add(measures, numbers)

    monkeypatch.setattr(BatchMeasures, "add", note)
    await rig.add([message("2", 1), message("2", 2), message("3", 11), message("3", 12), message("3", 13)])
    await clock.advance(5000)
    answer = await rig.hand_over()
    assert (answer.batches, answer.set_aside) == (1, 1)
    measures = rig.batches.measures
    assert [sum(each.counts) for each in (measures.sizes, measures.gaps)] == [1, 1]
    [numbers] = filter(None, lists)
    assert len(numbers) == 3, "the gap, how late, how long: of what has left, and of nothing else"


@pytest.mark.usefixtures("odd_item")
async def test_odd_batch_is_set_aside_and_the_others_leave(
    timed: Connection, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(timed, max_size=2)
    await rig.add([message("1", 13), message("2", 1), message("3", 2)])
    await clock.advance(5000)
    answer = await rig.hand_over()
    assert (answer.batches, answer.set_aside) == (2, 1)
    [finding] = [
        each for each in findings(await take_snapshot(rig.store, [])) if each.code == "batch_set_aside"
    ]
    assert finding.subject == "1"
    assert "odd" in finding.fact
    await clock.advance(29_999)
    assert (await rig.hand_over()).set_aside == 0
    await clock.advance(1)
    assert (await rig.hand_over()).set_aside == 1, "it is tried again"
    [full, _] = await rig.add([message("1", 14), message("2", 3)])
    assert full.added, "a full batch that cannot leave waits"
    [other, fine] = await rig.add([message("1", 15, company="7"), message("2", 4)])
    assert (bool(other.rejected), fine.added) == (True, True), "and is never mixed"
    assert (await rig.drain()).more is False
    monkeypatch.undo()
    healthy = make_rig(timed)
    await clock.advance(30_000)
    await healthy.hand_over()
    assert [merged.text for merged in await healthy.collect() if merged.phone == "1"] == ["13 14"]
    assert await timed.call("HLEN", SHARD.set_aside) == 0


EMPTY: list[tuple[str, dict[str, Any]]] = [
    ("", {}), (" \t\n", {}), ("\u00a0\u200b\u3000", {}), ("", {"type": "edit", "refers": "nothing"}),
]  # fmt: skip
NOT_EMPTY: list[tuple[str, dict[str, Any]]] = [
    ("", {"type": "image", "media": (Media(id="m"),)}),
    ("", {"media": (Media(id="m"),)}),
    ("", {"type": "location"}),
    ("\0", {}),
    (".", {}),
    ("ж", {}),
    ("🙂", {}),
    ("\u200bа", {}),
]


@pytest.mark.parametrize(("text", "more"), EMPTY)
async def test_batch_that_says_nothing_is_dropped_and_counted(
    timed: Connection, clock: VirtualClock, text: str, more: dict[str, Any]
) -> None:
    rig = make_rig(timed)
    await rig.add([Message(phone="1", text=text, id=name, channel="g", **more) for name in ("a", "b")])
    await clock.advance(5000)
    assert (await rig.hand_over()).batches == 1
    assert await rig.collect() == []
    pending = await rig.store.pending()
    assert (pending.batches, pending.messages) == (0, 0)
    assert pending.totals["reason:empty"] == 1
    assert "merged" not in pending.totals


@pytest.mark.parametrize(("text", "more"), NOT_EMPTY)
async def test_batch_that_says_something_is_not_dropped(
    timed: Connection, clock: VirtualClock, text: str, more: dict[str, Any]
) -> None:
    rig = make_rig(timed)
    await rig.add([Message(phone="1", text=text, id="a", channel="g", **more)])
    await clock.advance(5000)
    await rig.hand_over()
    assert len(await rig.collect()) == 1


async def test_batch_whose_messages_their_author_deleted_is_dropped(connection: Connection) -> None:
    rig = make_rig(connection)
    picture = Message(phone="1", text="", id="p", channel="g", type="image", media=(Media(id="m"),))
    text = Message(phone="1", text="oops", id="t", channel="g")
    deletions = [
        Message(phone="1", text="", id=f"d{gone}", channel="g", type="deletion", refers=gone)
        for gone in ("p", "t")
    ]
    await rig.add([picture, text, *deletions])
    assert await rig.batches.flush("1") == ("", 4)
    assert await rig.collect() == []


async def test_edit_that_takes_a_caption_away_keeps_the_picture(connection: Connection) -> None:
    rig = make_rig(connection)
    picture = Message(phone="1", text="look", id="p", channel="g", type="image", media=(Media(id="m"),))
    edit = Message(phone="1", text="", id="e", channel="g", type="edit", refers="p")
    await rig.add([picture, edit])
    await rig.batches.flush("1")
    [merged] = await rig.collect()
    assert (merged.text, merged.count) == ("", 2)


async def test_full_page_of_wrong_due_times_is_clamped_in_one_turn(
    timed: Connection, clock: VirtualClock
) -> None:
    rig = make_rig(timed)
    for start in range(0, 1000, 250):
        await rig.add([message(f"p{number}", 1) for number in range(start, start + 250)])
    await clock.advance(-3_600_000)
    calls, clamped = 0, 0
    while (answer := await rig.hand_over()).more:
        calls, clamped = calls + 1, clamped + answer.clamped
    assert clamped + answer.clamped == 1000
    assert calls < 24
    await clock.advance(5000)
    batches = 0
    while (answer := await rig.hand_over()).more:
        batches += answer.batches
    assert batches + answer.batches == 1000


async def test_right_batches_far_away_hide_no_wrong_one(timed: Connection, clock: VirtualClock) -> None:
    """Another daemon's rule lets 300 batches wait for hours; one due time behind them is wrong."""
    patient = make_rig(timed, 0, [Rule("slow", quiet_ms=7_200_000, max_wait_ms=9_000_000)])
    await patient.add([message(f"p{number}", 1) for number in range(300)])
    rig = make_rig(timed)
    await rig.add([message("wrong", 1)])
    await timed.call("ZADD", SHARD.due, await timed.now_ms(SHARD) + 3_600_000, "wrong")
    clamped = 0
    for _ in range(7):  # a page of fifty a second
        clamped += (await rig.hand_over()).clamped
        await clock.advance(1000)
    assert clamped == 1


async def test_call_ends_behind_64_kilobytes(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed)
    for phone in PHONES:
        await rig.add([Message(phone=phone, text="x" * 35_000, id="1", channel="g")])
    await clock.advance(5000)
    answer = await rig.hand_over()
    assert (answer.batches, answer.more) == (2, True)
    answer = await rig.hand_over()
    assert (answer.batches, answer.more) == (2, False)


@pytest.mark.parametrize("size", [1, 9, 19])
async def test_call_ends_behind_64_messages(timed: Connection, clock: VirtualClock, size: int) -> None:
    rig = make_rig(timed, max_size=100)
    for person in range(100):
        await rig.add([message(f"p{person}", number) for number in range(size)])
    await clock.advance(60_000)
    sizes, more = [], True
    while more:
        answer = await rig.hand_over()
        sizes.append(answer.messages)
        more = answer.more
    assert sum(sizes) == 100 * size
    assert max(sizes) < 64 + size


@pytest.mark.parametrize("command", ["rpush", "zadd", "sadd"])
async def test_refused_message_leaves_no_list_without_its_index(
    connection: Connection, limited: Connection, command: str
) -> None:
    await connection.call("ACL", "SETUSER", "limited", f"-{command}")
    with pytest.raises(CredentialsRefusedError):
        await make_rig(limited).add([message("1", 1)])
    is_stored = await connection.call("EXISTS", "rapid-fire:1")
    assert not is_stored or await connection.call("ZSCORE", SHARD.due, "1") is not None


@pytest.mark.parametrize("limited", ["asked"], indirect=True)
async def test_message_whose_id_may_not_be_marked_is_not_stored(
    connection: Connection, limited: Connection
) -> None:
    """Of Redis 7: before, no user may read a key and not write it, and so the look at the ids is refused first."""
    others = [f"~{other}" for other in PATTERNS if other != "rfctl:ids*"]
    await connection.call("ACL", "SETUSER", "limited", "resetkeys", *others, "~rfctl:ids", "%R~rfctl:ids:*")
    with pytest.raises(CredentialsRefusedError):
        await make_rig(limited).add([message("1", 1)])
    assert await connection.call("EXISTS", "rapid-fire:1") == 0


async def test_batch_that_may_not_be_read_stays_in_the_index(
    connection: Connection, limited: Connection
) -> None:
    await make_rig(connection).add([message("1", 1)])
    await connection.call("ACL", "SETUSER", "limited", "-lrange")
    with pytest.raises(CredentialsRefusedError):
        await make_rig(limited).drain()
    assert await connection.call("ZSCORE", SHARD.due, "1") is not None
    assert await connection.call("XLEN", SHARD.out) == 0


async def test_hand_over_that_cannot_delete_its_list_takes_its_entry_back(
    connection: Connection, limited: Connection
) -> None:
    """The key that stands for all batches is allowed, and that of this batch is not."""
    await make_rig(connection).add([message("1", 1)])
    keys = ["~rfctl:*", "~last-msg:*", "~rapid-fire:", "%R~rapid-fire:*"]
    await connection.call("ACL", "SETUSER", "limited", "resetkeys", *keys)
    for _ in range(2):
        with pytest.raises(CredentialsRefusedError):
            await make_rig(limited).drain()
        assert await connection.call("XLEN", SHARD.out) == 0
    await connection.call("ACL", "SETUSER", "limited", "~*")
    await make_rig(limited).drain()
    assert await connection.call("XLEN", SHARD.out) == 1
