"""The sink that POSTs to a URL, signed by Standard Webhooks."""

__all__ = ["addresses", "config", "sink"]
