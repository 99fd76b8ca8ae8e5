"""One running process: start, reload, drain, stop."""
