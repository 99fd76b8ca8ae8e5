"""A library for the program behind rfctl: it takes merged messages from the output stream, one a person at a time.

    from rfctl.worker import Worker

    def answer(message):
        print(message.phone, message.text)

    Worker("redis://127.0.0.1:6379/0", group="bot").run(answer)

What it promises:

- A message is acknowledged when the handler has returned, and never before. If the handler raises, or its process dies, the
  message comes again after `retry_after_s`.
- Messages of one batch key (a person in a chat) are handled one after another, in their order, also by many workers.
- A message that was handled is remembered by its id. If it comes again, it is acknowledged without the handler.
- No library can promise that a handler's effects happen once: a process may die between the effect and the
  acknowledgement. `message.id` is the same each time, and `message.attempt` is 2 or more then.
- After `max_attempts` the message becomes a dead letter, which `rfctl dead list` shows.

It needs redis-py and msgspec, and nothing else of rfctl's.
"""

from rfctl.worker.async_worker import AsyncWorker
from rfctl.worker.merged_message import MergedMessage, Original
from rfctl.worker.options import GiveUpError
from rfctl.worker.worker import Worker

__all__ = ["AsyncWorker", "GiveUpError", "MergedMessage", "Original", "Worker"]
