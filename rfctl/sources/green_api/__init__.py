"""Requests of GREEN-API."""

__all__ = ["config", "schema", "source"]
