"""The requests that wait for a call to Redis, and which of them may go into the next one.

Several calls are on their way at once, and each may fail and be made again. So a phone has its messages in one call at a
time: its next ones wait for the answer. All others may pass them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store.aliases import has_no_phone

OnAnswer = Callable[[list[Added] | Exception], None]
"""Gets what became of each message of a request, or why Redis has not confirmed them (RfctlError, or a bug)."""
_MOST_PASSED = 128
"""So many requests are looked at and passed over: a flood from one phone must not be walked through for each call."""


@dataclass(eq=False, slots=True)
class Request:
    """The messages of one request. `is_waiting` until it has its answer, `is_sent` once a call has it."""

    messages: Sequence[Message]
    on_answer: OnAnswer
    is_waiting: bool = True
    is_sent: bool = False
    phones: set[str] = field(init=False)
    is_anybodys: bool = field(init=False)
    """Whether the phone of a message is looked up on its way: it may be any."""

    def __post_init__(self) -> None:
        # One walk, and no function made for it: every request passes here.
        self.phones = phones = set()
        self.is_anybodys = False
        for message in self.messages:
            phones.add(message.phone)
            if message.alias and has_no_phone(message):
                self.is_anybodys = True


class RequestQueue:
    """Requests in their order. `count` is the number of messages in them."""

    def __init__(self) -> None:
        self.count = 0
        self._requests: deque[Request] = deque()
        self._busy: set[str] = set()
        """The phones with a message on its way."""
        self._is_shut = False
        """Whether a message is on its way that may be anybody's."""

    def __bool__(self) -> bool:
        return bool(self._requests)

    def append(self, request: Request) -> None:
        """Put a request behind all others."""
        self._requests.append(request)
        self.count += len(request.messages)

    def forget(self, request: Request) -> None:
        """Forget the messages of a request that has its answer, unless a call has them: Redis may be silent for long."""
        if not request.is_sent:
            self.count -= len(request.messages)
            request.messages = ()

    def clear(self) -> None:
        """Forget all requests."""
        self._requests.clear()
        self.count = 0

    def take(self, most: int) -> list[Request]:
        """Take the requests that may go now, with up to `most` messages, or a single larger one.

        They are no longer waited for by others once `finish` was called with them.
        """
        taken: list[Request] = []
        passed: list[Request] = []
        passed_phones: set[str] = set()
        size = 0
        requests, busy = self._requests, self._busy
        while requests and not self._is_shut and len(passed) < _MOST_PASSED:
            request = requests[0]
            count, phones = len(request.messages), request.phones
            if taken and size + count > most:
                break
            if request.is_anybodys and request.is_waiting and busy:
                break
            requests.popleft()
            if not request.is_waiting:
                continue
            if phones.isdisjoint(busy) and phones.isdisjoint(passed_phones):
                taken.append(request)
                request.is_sent = True
                size += count
                self._is_shut = request.is_anybodys
            else:
                passed.append(request)
                passed_phones |= phones
        requests.extendleft(reversed(passed))
        self.count -= size
        for request in taken:  # not before: a call may have several messages of a phone
            busy |= request.phones
        return taken

    def finish(self, taken: list[Request]) -> None:
        """Let the next messages of these phones go."""
        for request in taken:
            self._busy -= request.phones
        self._is_shut = False
