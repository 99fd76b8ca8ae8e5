"""The description of the daemon's HTTP routes, as an OpenAPI 3.1 document. Made from one table of operations."""

from rfctl.ingest.openapi.document import Part, build_document
from rfctl.ingest.openapi.operations import OPERATIONS, Operation

__all__ = ["OPERATIONS", "Operation", "Part", "build_document"]
