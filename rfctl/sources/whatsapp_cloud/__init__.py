"""Requests of Meta's WhatsApp Cloud API."""

__all__ = ["config", "plain", "schema", "source"]
