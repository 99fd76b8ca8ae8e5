"""What an operator should know of the settings at a start, and when they look at them: nothing of it is refused."""

from __future__ import annotations

from rfctl.assembly.sinks import list_unset_companies
from rfctl.config.settings import Settings
from rfctl.model.token import MIN_TOKEN_CHARS, RECIPE


def list_notices(settings: Settings) -> list[str]:
    """Return a line for each: a name with {company} and a source that sets no company, and a token that may be guessed."""
    companies = [
        f"{unset.setting} has {{company}}, and sources.{unset.source}.company is not set: a message that names no company "
        f"goes to {unset.filled}; set sources.{unset.source}.company, or take {{company}} out"
        for unset in list_unset_companies(settings)
    ]
    tokens = [
        f"{name} has fewer than {MIN_TOKEN_CHARS} characters, and may be guessed: make another with {RECIPE}"
        for name in settings.http.short_tokens
    ]
    return companies + tokens
