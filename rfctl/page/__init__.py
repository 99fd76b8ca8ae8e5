"""The web page of a daemon: what is going on, live, and what an operator can do about it."""

from rfctl.page.actions import Actions
from rfctl.page.door import Door
from rfctl.page.openapi import describe_page
from rfctl.page.page import Page
from rfctl.page.sampler import Sampler

__all__ = ["Actions", "Door", "Page", "Sampler", "describe_page"]
