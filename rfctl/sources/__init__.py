"""A provider's request comes in: verified, then read; pure."""

from rfctl.sources.contract import NotUnderstoodError, ParseResult, Request, ServedSource, Source, SourceSpec

__all__ = ["NotUnderstoodError", "ParseResult", "Request", "ServedSource", "Source", "SourceSpec"]
