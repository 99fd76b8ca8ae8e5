"""Takes in a list that nobody hands over, in one step (lua/batches/adopt.lua)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rfctl.store import replies
from rfctl.store.batch_keys import batch_key_of, is_hashed
from rfctl.store.keys import Keyspace
from rfctl.store.stray_keys import StrayList, StrayLists

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

Outcome = Literal["adopted", "gone", "claimed", "occupied"]
"""`claimed`: its batch is in the index already. `occupied`: its person has a pending batch, which must leave first."""
_OUTCOMES: dict[int, Outcome] = {1: "adopted", 0: "gone", -1: "claimed", -2: "occupied"}


@dataclass(frozen=True, slots=True)
class Adoption:
    """What came of one list. `messages` are due now; `quarantined` items had no text that could be sent."""

    outcome: Outcome
    messages: int
    quarantined: int


def find_home(stray: StrayList, phone: str = "") -> str:
    """Return the batch key that a list can have, "" if neither its name nor `phone` tells it.

    Behind a hashed key only messages of rfctl's own tell the phone.
    """
    if phone:
        return batch_key_of(phone)
    return stray.batch_key if stray.home and (stray.phone or not is_hashed(stray.batch_key)) else ""


async def adopt_list(
    connection: Connection, keyspace: Keyspace, stray: StrayList, phone: str = ""
) -> Adoption:
    """Give a list to its batch, or to that of `phone`. Raises RfctlError, and ValueError for a list without a batch."""
    batch_key = find_home(stray, phone)
    if not batch_key:
        raise ValueError(f"{stray.key} has no batch")
    shard = keyspace.all()[keyspace.index_of(batch_key)]
    home = shard.batch_prefix + batch_key
    keys = [shard.due, shard.phones, shard.common.quarantine, stray.key, home, shard.totals]
    reply = await connection.run("adopt", shard, keys, [batch_key, phone or stray.phone])
    outcome, messages, quarantined = map(replies.integer, replies.array(reply))
    return Adoption(_OUTCOMES[outcome], messages, quarantined)


class Strays:
    """The lists of one Redis that nobody hands over."""

    def __init__(self, connection: Connection, keyspace: Keyspace) -> None:
        self._connection = connection
        self._keyspace = keyspace

    def lists(self) -> StrayLists:
        """Return the search for them."""
        return StrayLists(self._connection, self._keyspace)

    async def adopt(self, stray: StrayList, phone: str = "") -> Adoption:
        """Take a list in, as its batch or as that of `phone`, due now. Raises ValueError for one without a batch."""
        return await adopt_list(self._connection, self._keyspace, stray, phone)
