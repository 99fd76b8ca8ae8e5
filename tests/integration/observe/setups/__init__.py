"""Broken set-ups, built for real: doctor names the cause first, and is content once its cure was followed."""
