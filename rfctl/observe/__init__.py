"""What is going on, for every reader: command line, HTTP, log."""
