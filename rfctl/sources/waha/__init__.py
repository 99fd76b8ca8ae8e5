"""Requests of WAHA."""

__all__ = ["config", "schema", "source"]
