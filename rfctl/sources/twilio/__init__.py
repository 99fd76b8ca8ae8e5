"""Requests of Twilio: SMS, MMS, WhatsApp, RCS."""

__all__ = ["config", "fields", "plain", "source"]
