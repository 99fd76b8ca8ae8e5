"""A program that runs once a message."""

__all__ = ["config", "sink"]
