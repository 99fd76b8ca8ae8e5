"""Calls of Celery tasks."""
