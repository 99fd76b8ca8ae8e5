"""What the Celery and RQ workers of the tests run: one JSON line for each job."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import rq

app: Any = import_module("celery").Celery("tests", config_source={"worker_redirect_stdouts": False})


def celery_task(self: Any, data: dict[str, Any]) -> None:
    write(self.request.id, data)


app.task(bind=True, name="chat.answer")(celery_task)


def rq_task(data: dict[str, Any]) -> None:
    job = rq.get_current_job()
    assert job is not None
    write(job.id, data)


def write(job_id: str, data: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"id": job_id, "data": data}) + "\n")
    sys.stdout.flush()
