"""Requests of Evolution API."""
