"""A merged message becomes a call of a Celery task, by the task's name: `task(payload)`.

The library would look for a dead broker for ever, so each call has limits. CELERY_BROKER_URL would silently override our
settings, so each call names the broker. The task id is the same at every attempt. **Celery itself runs a repeated id
again**: a task that must not act twice for one message has to look at its id, or at `messageId` in the payload.
"""

from __future__ import annotations

import contextlib
import re
from functools import partial
from typing import Any

from rfctl.errors import SettingsError
from rfctl.model.delivery import Delivery
from rfctl.sinks.celery.config import CeleryConfig
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.queues import build_job_data, build_job_id, import_library, render_queue_name
from rfctl.sinks.threads import MAX_THREADS, Threads
from rfctl.text import hide_secrets, mask_url


class Celery:
    """The sink of type `celery`; tried with a Redis broker."""

    def __init__(self, name: str, config: CeleryConfig) -> None:
        self._name = name
        self._config = config
        # kombu knows no name of Valkey's own.
        self._url = re.sub(r"(^|;)valkey(s?)://", r"\1redis\2://", config.url)
        self._timeout_s = config.timeout_ms / 1000
        self._connect_timeout_s = min(config.connect_timeout_ms, config.timeout_ms) / 1000

    async def open(self) -> None:
        """Get ready without connecting. Raises SettingsError."""
        celery = import_library("celery", self._name, "celery")
        self._failure = import_library("kombu.exceptions", self._name, "celery").OperationalError
        # A configuration of our own keeps CELERY_CONFIG_MODULE out.
        self._app = celery.Celery(
            "rfctl", loader="app", set_as_current=False, config_source={"task_publish_retry": False}
        )
        self._connections = self._connect()
        self._where = f"the broker at {mask_url(self._config.url)}"
        self._threads = Threads(self._name, self._config.timeout_ms, self._where)

    async def deliver(self, delivery: Delivery) -> None:
        """Publish the task; raises DeliveryError."""
        template = self._config.queue
        queue = render_queue_name(template, delivery) if template else None
        try:
            await self._threads.run(
                partial(
                    self._send,
                    build_job_id(self._name, delivery),
                    build_job_data(delivery, self._config),
                    queue,
                )
            )
        except (self._failure, OSError) as problem:
            words = hide_secrets(str(problem), self._url)
            raise DeliveryError(f"{self._where} did not take the task: {words}") from problem

    async def close(self) -> None:
        """Close every connection, unless one of them hangs."""
        with contextlib.suppress(DeliveryError, OSError):
            await self._threads.run(self._connections.force_close_all)
        self._threads.close()
        self._app.close()

    def _connect(self) -> Any:
        try:
            connection = self._app.connection_for_write(
                self._url, connect_timeout=self._connect_timeout_s, transport_options=self._limits()
            )
            # Looking the transport up is what finds a URL of an unknown kind.
            connection.get_transport_cls()
        except (KeyError, ValueError, ImportError) as problem:
            words = hide_secrets(str(problem), self._url)
            step = "write the broker as redis://… or amqp://…, and percent-encode its user and password"
            raise SettingsError([f"sinks.{self._name}.url: {words}"], next=step) from None
        return connection.Pool(MAX_THREADS)

    def _limits(self) -> dict[str, Any]:
        """Return what ends each wait on a socket; a transport leaves alone what it does not know."""
        redis = {"socket_connect_timeout": self._connect_timeout_s, "socket_timeout": self._timeout_s}
        # Without confirm_publish RabbitMQ has taken nothing yet when the call returns.
        amqp = {"confirm_publish": True, "read_timeout": self._timeout_s, "write_timeout": self._timeout_s}
        return {"max_retries": 0, **redis, **amqp}

    def _send(self, task_id: str, data: dict[str, Any], queue: str | None) -> None:
        connection = self._connections.acquire(block=True, timeout=self._timeout_s)
        try:
            self._app.send_task(
                self._config.task,
                args=[data],
                task_id=task_id,
                queue=queue,
                connection=connection,
                retry=False,
                ignore_result=True,
                confirm_timeout=self._timeout_s,
                argsrepr=f"({task_id},)",  # what workers log: not the message
            )
        except BaseException:
            self._connections.replace(connection)  # a broken one must not spoil the next call
            raise
        connection.release()
