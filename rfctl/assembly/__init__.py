"""From settings to parts: the only package that knows both."""
