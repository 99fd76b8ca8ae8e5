"""From the settings to the ways in: which sources are served, how they are verified, and to whom."""

from __future__ import annotations

from rfctl.config.endpoints import SourceSettings
from rfctl.config.settings import Settings
from rfctl.errors import SettingsError
from rfctl.sources.contract import Profile, ServedSource
from rfctl.sources.registry import GENERIC, SOURCES, make_source

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def source_settings(settings: Settings) -> dict[str, SourceSettings]:
    """Return the configured sources; without any there is one, the Node service's own webhook."""
    return dict(settings.sources) or {GENERIC: SourceSettings(type="generic")}


def dedupe_s(settings: Settings) -> dict[str, int]:
    """Return how long each source's message ids are remembered, s, where that is not batching.dedupe_s."""
    times = {
        name: one.dedupe_s or SOURCES[one.type].dedupe_s for name, one in source_settings(settings).items()
    }
    return {name: seconds for name, seconds in times.items() if seconds is not None}


def build_sources(settings: Settings) -> dict[str, ServedSource]:
    """Return the ways in, by name. Raises SettingsError with what is wrong with any of them."""
    made: dict[str, ServedSource] = {}
    problems: list[str] = []
    for name, one in source_settings(settings).items():
        try:
            made[name] = _entrance(name, one, settings.batching.max_text_bytes)
        except SettingsError as problem:
            problems += [f"sources.{name}.map: {fault}" for fault in problem.problems]
    if problems:
        raise SettingsError(problems, next="see `man rfctl.toml`")
    return made


def _entrance(name: str, one: SourceSettings, max_text_bytes: int) -> ServedSource:
    profile = Profile(
        name=name,
        secrets=tuple(one.secrets),
        company=one.company,
        max_text_bytes=max_text_bytes,
        verify_token=one.verify_token,
        public_url=one.public_url,
        mapping=one.map,
        auth=one.auth if "auth" in one.model_fields_set else "",
        auth_header=one.auth_header.lower(),
    )
    return ServedSource(
        name=name,
        type=one.type,
        source=make_source(one.type, profile),
        verified=bool(one.secrets),
        insecure=one.insecure,
        in_words=one.type == "generic" and not one.map,
        json_only=not one.secrets and one.type != "twilio",  # Twilio itself sends forms
        handshake_hint=_handshake_hint(name, one),
    )


def _handshake_hint(name: str, one: SourceSettings) -> str:
    if one.type != "whatsapp-cloud":
        return ""
    if not one.verify_token:
        return f"set sources.{name}.verify_token to the one that Meta was told"
    return f"is sources.{name}.verify_token the one that Meta was told?"


def check_open_to_all(settings: Settings) -> None:
    """Refuse to listen beyond this machine with a source that nothing verifies. Raises SettingsError."""
    if settings.http.host in _LOOPBACK:
        return
    problems = [
        f"sources.{name}: it has no secrets, and the listener on {settings.http.host} is open to others"
        for name, one in source_settings(settings).items()
        if not one.secrets and not one.insecure
    ]
    if problems:
        raise SettingsError(
            problems, next="set its secrets, or http.host = 127.0.0.1, or insecure = true if you mean it"
        )


def insecure(settings: Settings) -> list[str]:
    """Return the names of the sources that take unverified requests from everywhere."""
    return [name for name, one in source_settings(settings).items() if one.insecure and not one.secrets]
