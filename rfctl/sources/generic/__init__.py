"""Requests of the Node service's sender, and anybody's JSON by a map."""

__all__ = ["config", "json_path", "mapped", "node_form"]
