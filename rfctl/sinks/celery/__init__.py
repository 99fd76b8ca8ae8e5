"""Calls of Celery tasks."""

__all__ = ["config", "sink"]
