"""Jobs for BullMQ workers of Node."""

__all__ = ["config", "sink"]
