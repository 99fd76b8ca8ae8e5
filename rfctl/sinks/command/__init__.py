"""A program that runs once a message."""
