"""rfctl: waits until a person has stopped typing, and hands the chat bot one message."""

__version__ = "0.2.0.dev0"
