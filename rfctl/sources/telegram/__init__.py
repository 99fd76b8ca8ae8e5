"""Requests of the Telegram Bot API."""
