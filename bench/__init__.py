"""Measurements of rfctl: `python -m bench` lists them. They are no part of the product, and no test goes by their rates."""

__all__: list[str] = []
