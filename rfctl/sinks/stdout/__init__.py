"""Lines of JSON on standard output."""

__all__ = ["config", "sink"]
