"""Jobs for RQ workers."""

__all__ = ["config", "sink"]
