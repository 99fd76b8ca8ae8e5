"""Requests of the Telegram Bot API."""

__all__ = ["config", "plain", "schema", "source"]
