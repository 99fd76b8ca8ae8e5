"""Requests of Twilio: SMS, MMS, WhatsApp, RCS."""
