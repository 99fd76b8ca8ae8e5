"""Requests of the Telegram Bot API."""

__all__ = ["config", "schema", "source"]
