"""From settings to parts: the only package that knows both."""

__all__ = ["batching", "check", "sinks", "sources", "store"]
