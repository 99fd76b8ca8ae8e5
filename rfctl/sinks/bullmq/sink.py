"""A merged message becomes a job that an npm BullMQ worker takes (checked with versions 5 and 6).

The Python library `bullmq` writes what Node reads. By itself it repeats a call twenty times while Redis does not answer.
So it gets our own client, which repeats nothing, opens a new socket after a broken one, and serves all queues. Jobs that
are added at the same moment go to Redis in one write, each by a call of its own. One
message is one job as long as Redis remembers the job: a finished one at least a day, a failed one until somebody
removes it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from rfctl.model.delivery import Delivery
from rfctl.sinks.bullmq.config import BullMqConfig
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.deadlines import Deadlines
from rfctl.sinks.queues import (
    KEEP_S,
    build_address,
    build_failure,
    build_job_data,
    build_job_id,
    import_library,
    read_redis_url,
    render_queue_name,
)
from rfctl.store.pipe import Pipe
from rfctl.store.reply_errors import as_redis_error

MAX_QUEUES = 64


class _PipedRedis(Redis):
    """A client with one socket, whose calls do not wait for one another's answers. Those are text, as the library wants."""

    def __init__(self, pool: ConnectionPool, timeout_s: float) -> None:
        super().__init__(connection_pool=pool)
        self._pipe = Pipe(pool.make_connection, timeout_s)

    async def execute_command(self, *args: Any, **_options: Any) -> Any:
        name, *rest = args  # a name may be of two words: SCRIPT LOAD
        answer = await self._pipe.execute(*name.split(), *rest)
        return answer.decode() if isinstance(answer, bytes) else answer

    async def close_pipe(self) -> None:
        await self._pipe.close()


class BullMq:
    """The sink of type `bullmq`; `url` is redis://, rediss:// or unix://."""

    def __init__(self, name: str, config: BullMqConfig) -> None:
        self._name = name
        self._config = config
        self._queues: OrderedDict[str, Any] = OrderedDict()
        self._deadlines = Deadlines(config.timeout_ms / 1000)

    async def open(self) -> None:
        """Get ready without connecting. Raises SettingsError."""
        self._library = import_library("bullmq", self._name, "bullmq")
        self._where = build_address(self._name, self._config)
        self._client = self._connect()

    async def deliver(self, delivery: Delivery) -> None:
        """Add the job; raises DeliveryError, final when the name of its queue cannot be one."""
        queue = self._queue(render_queue_name(self._config.queue, delivery, without=":"))
        wanted = build_job_id(self._name, delivery)
        try:
            with self._deadlines.limit():
                job = await queue.add(
                    self._config.job_name, build_job_data(delivery, self._config), self._job_options(wanted)
                )
        except (RedisError, OSError, RuntimeError) as problem:  # TimeoutError is an OSError
            raise build_failure(as_redis_error(problem), self._where) from problem
        if job is None or job.id != wanted:
            raise DeliveryError(f"the queue at {self._where.shown()} did not take the job {wanted}")

    async def close(self) -> None:
        """Close every connection."""
        self._queues.clear()
        await self._client.close_pipe()
        await self._client.aclose()

    def _connect(self) -> _PipedRedis:
        pool = ConnectionPool.from_url(
            read_redis_url(self._name, self._config.url),
            socket_connect_timeout=self._config.connect_timeout_ms / 1000,
            socket_timeout=self._config.timeout_ms / 1000,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        return _PipedRedis(pool, self._config.timeout_ms / 1000)

    def _queue(self, name: str) -> Any:
        """Return the library's object for a queue. It holds no connection, but reads thirty files when made."""
        if name not in self._queues:
            options = {"connection": self._client, "prefix": self._config.prefix}
            self._queues[name] = self._library.Queue(name, options)
        self._queues.move_to_end(name)
        if len(self._queues) > MAX_QUEUES:
            self._queues.popitem(last=False)
        return self._queues[name]

    def _job_options(self, wanted: str) -> dict[str, Any]:
        return {
            "jobId": wanted,
            "attempts": self._config.job_attempts,
            "backoff": {"type": "exponential", "delay": self._config.backoff_ms},
            "removeOnComplete": {"age": KEEP_S},
        }
