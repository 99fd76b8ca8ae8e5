"""A provider's request comes in: verified, then read; pure."""

from rfctl.sources.contract import ParseResult, Request, ServedSource, Source, SourceSpec, UnparsedError

__all__ = ["ParseResult", "Request", "ServedSource", "Source", "SourceSpec", "UnparsedError"]
