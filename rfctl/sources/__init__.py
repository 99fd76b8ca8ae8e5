"""A provider's request comes in: verified, then read; pure."""
