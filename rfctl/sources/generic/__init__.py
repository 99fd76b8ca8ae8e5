"""Requests of the Node service's sender, and anybody's JSON by a map."""
