"""The rights of rfctl's user in Redis, as the manual prints them, and a user from whom they are taken one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis

from rfctl.store.keys import Keyspace
from rfctl.store.rights import build_rights
from tests.support.servers import RedisServer

PASSWORD = "of-the-test"
RightKind = Literal["command", "keys", "channel"]


def read_printed_rules() -> str:
    """Return the rules that are printed for operators: what stands behind the password in ACL SETUSER.

    This is the one place that knows where they come from.
    """
    line = build_rights(Keyspace(), 0).grant("x", password=PASSWORD)
    _, _, rules = line.partition(f" >{PASSWORD} ")
    return rules.replace("&rfctl:events:0", "&rfctl:events:*")  # each case has a database of its own


@dataclass(frozen=True, slots=True)
class Right:
    """One right: a command (`config|get`), a key pattern or a channel pattern, as a rule of ACL SETUSER."""

    kind: RightKind
    rule: str

    @property
    def word(self) -> str:
        """What names it in an answer to an operator."""
        return self.rule.lstrip("+~&").replace("|", " ")


def parse_rights(rules: str) -> list[Right]:
    """Return each right that the rules give."""
    kinds: dict[str, RightKind] = {"+": "command", "~": "keys", "&": "channel"}
    return [Right(kinds[rule[0]], rule) for rule in rules.split() if rule[0] in kinds]


class RestrictedUser:
    """A user of a server who has what is printed and the keys of his sinks, and never more."""

    def __init__(self, server: RedisServer, name: str, *sink_keys: str) -> None:
        self._server, self.name = server, name
        self._rights = [*parse_rights(read_printed_rules()), *(Right("keys", f"~{key}") for key in sink_keys)]
        self.give_back()

    def build_url(self, database: int) -> str:
        """Return the address of a database for this user."""
        return f"redis://{self.name}:{PASSWORD}@127.0.0.1:{self._server.port}/{database}"

    def take_away(self, right: Right) -> None:
        """Take one right away, while connections of this user are open."""
        if right.kind == "command":
            self._set_user("-" + right.rule[1:])
        else:
            kept = [other.rule for other in self._rights if other.kind == right.kind and other != right]
            self._set_user("resetkeys" if right.kind == "keys" else "resetchannels", *kept)

    def give_back(self) -> None:
        """Give this user all rights again; the first time, make the user."""
        rules = [right.rule for right in self._rights]
        self._set_user("on", "resetpass", f">{PASSWORD}", "resetkeys", "resetchannels", "-@all", *rules)

    def read_refusals(self) -> Counter[str]:
        """Return how often Redis has refused this user what: commands, keys and channels."""
        with self._server.client() as client:
            entries: Sequence[dict[str, Any]] = client.acl_log()
        refusals: Counter[str] = Counter()
        for entry in entries:
            if entry["username"] == self.name:
                refusals[str(entry["object"])] += int(entry["count"])
        return refusals

    def _set_user(self, *rules: str) -> None:
        with self._server.client() as client:
            for rule in rules:
                try:
                    client.execute_command("ACL", "SETUSER", self.name, rule)
                except redis.ResponseError as problem:
                    if rule != "+client|setinfo" or "Unknown command" not in str(problem):
                        raise  # Redis 7.0 does not know that command yet
