"""The requests that wait for a call to Redis, and which of them may go into the next one.

Several calls are on their way at once, and each may fail and be made again. So a phone has its messages in one call at a
time: its next ones wait for the answer. All others may pass them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store.aliases import has_no_phone

OnAnswer = Callable[[list[Added] | Exception], None]
"""Gets what became of each message of a request, or why Redis has not confirmed them (RfctlError, or a bug)."""
_MOST_PASSED = 128
"""So many requests are looked at and passed over: a flood from one phone must not be walked through for each call."""


class Request:
    """The messages of one request. `is_waiting` until it has its answer, `is_sent` once a call has it.

    `is_anybodys` says whether the phone of a message is looked up on its way: it may be any.
    """

    __slots__ = ("is_anybodys", "is_sent", "is_waiting", "messages", "on_answer", "phones")

    def __init__(self, messages: Sequence[Message], on_answer: OnAnswer) -> None:
        self.messages = messages
        self.on_answer = on_answer
        self.is_waiting = True
        self.is_sent = self.is_anybodys = False
        self.phones: tuple[str, ...]
        if len(messages) == 1:  # most of them: no set is made for one phone
            [message] = messages
            self.phones = (message.phone,)
            if message.alias:
                self.is_anybodys = has_no_phone(message)
        else:
            self.phones = tuple({message.phone for message in messages})
            self.is_anybodys = any(map(has_no_phone, messages))


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
        while requests and not self._is_shut:
            request = requests[0]
            count, phones = len(request.messages), request.phones
            if taken and size + count > most:
                break
            if request.is_anybodys and request.is_waiting and busy:
                break
            requests.popleft()
            if not request.is_waiting:
                continue
            if busy.isdisjoint(phones) and (not passed or passed_phones.isdisjoint(phones)):
                taken.append(request)
                request.is_sent = True
                size += count
                self._is_shut = request.is_anybodys
            else:
                passed.append(request)
                passed_phones.update(phones)
                if len(passed) == _MOST_PASSED:
                    break
        if passed:
            requests.extendleft(reversed(passed))
        self.count -= size
        # Not before: a call may have several messages of a phone.
        busy.update(*[request.phones for request in taken])
        return taken

    def finish(self, taken: list[Request]) -> None:
        """Let the next messages of these phones go."""
        self._busy.difference_update(*[request.phones for request in taken])
        self._is_shut = False
