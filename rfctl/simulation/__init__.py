"""Scripted traffic for `simulate`, and the verdict on what comes out."""
