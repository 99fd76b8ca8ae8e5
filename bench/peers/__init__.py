"""What a user would write or pick instead of rfctl, and an answer without any work."""

__all__: list[str] = []
