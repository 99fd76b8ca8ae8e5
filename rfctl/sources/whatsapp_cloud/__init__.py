"""Requests of Meta's WhatsApp Cloud API."""
