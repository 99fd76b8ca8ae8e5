"""A merged message becomes a job of RQ, by the dotted path of its function: `task(payload)`.

Any `rq worker` with its defaults can run it: the payload is a dict of plain JSON types, so that the default
serializer, pickle, has nothing of ours to import. A worker unpickles whatever is in its Redis: where others may write
there, `serializer = "json"` and a worker that is started with it are safer. One message is one job as long as Redis remembers the job (RQ ≥ 3
looks and adds in one script): a finished one a day, a failed one as long as RQ keeps it, a year by default.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from rfctl.model.delivery import Delivery
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
from rfctl.sinks.rq.config import RqConfig
from rfctl.sinks.threads import Threads

_DEFAULT_QUEUE = "default"


class Rq:
    """The sink of type `rq`; `url` is redis://, rediss:// or unix://."""

    def __init__(self, name: str, config: RqConfig) -> None:
        self._name = name
        self._config = config

    async def open(self) -> None:
        """Get ready without connecting. Raises SettingsError."""
        self._library = import_library("rq", self._name, "rq")
        self._repeated = import_library("rq.exceptions", self._name, "rq").DuplicateJobError
        serializers = import_library("rq.serializers", self._name, "rq")
        is_json = self._config.serializer == "json"
        self._serializer = serializers.JSONSerializer if is_json else serializers.DefaultSerializer
        self._where = build_address(self._name, self._config)
        self._client = self._connect()
        self._threads = Threads(self._name, self._config.timeout_ms, f"Redis at {self._where.shown()}")

    async def deliver(self, delivery: Delivery) -> None:
        """Enqueue the job; raises DeliveryError, final when its queue would have no name."""
        queue = render_queue_name(self._config.queue or _DEFAULT_QUEUE, delivery)
        try:
            await self._threads.run(
                partial(
                    self._enqueue,
                    build_job_id(self._name, delivery),
                    build_job_data(delivery, self._config),
                    queue,
                )
            )
        except (RedisError, OSError) as problem:
            raise build_failure(problem, self._where) from problem

    async def close(self) -> None:
        """Close every connection."""
        self._threads.close()
        self._client.close()
        self._client.connection_pool.disconnect()

    def _connect(self) -> Redis:
        return Redis.from_url(
            read_redis_url(self._name, self._config.url),
            socket_connect_timeout=min(self._config.connect_timeout_ms, self._config.timeout_ms) / 1000,
            socket_timeout=self._config.timeout_ms / 1000,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    def _enqueue(self, wanted: str, data: dict[str, Any], name: str) -> None:
        queue = self._library.Queue(name, connection=self._client, serializer=self._serializer)
        with contextlib.suppress(
            self._repeated
        ):  # an earlier attempt, whose answer was lost, has put it there
            queue.enqueue_call(
                self._config.task,
                args=(data,),
                job_id=wanted,
                result_ttl=KEEP_S,
                description=wanted,  # what workers log: by default the message itself
                unique=True,
            )
