"""Requests in the two generic forms, and any other JSON by a map."""

__all__ = ["config", "json_path", "mapped", "node_form", "plain"]
