"""Frozen types, closed sets of words, and the form in which a message is stored."""
