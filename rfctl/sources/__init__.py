"""Sources: each verifies a provider's request, and parses it into messages. Pure."""

from rfctl.sources.contract import ParseResult, Request, ServedSource, Source, SourceSpec, UnparsedError

__all__ = ["ParseResult", "Request", "ServedSource", "Source", "SourceSpec", "UnparsedError"]
