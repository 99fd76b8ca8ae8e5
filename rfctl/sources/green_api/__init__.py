"""Requests of GREEN-API."""
