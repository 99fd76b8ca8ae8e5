"""Requests of Evolution API."""

__all__ = ["config", "schema", "source", "token"]
