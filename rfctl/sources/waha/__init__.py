"""Requests of WAHA."""
