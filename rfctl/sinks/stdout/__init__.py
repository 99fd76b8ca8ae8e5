"""Lines of JSON on standard output."""
