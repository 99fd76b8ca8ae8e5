"""From the settings to the sources: which are served, and whether a stranger could use them."""

from __future__ import annotations

from functools import partial

from rfctl.config.settings import Settings
from rfctl.errors import SettingsError
from rfctl.model.company import decode_company
from rfctl.sources.auth.config import BasicAuth, HmacAuth, JwtAuth, TokenAuth
from rfctl.sources.config import SourceConfig
from rfctl.sources.contract import ProofParts, ServedSource, Source
from rfctl.sources.registry import GENERIC, SPECS
from rfctl.sources.tenants import Tenants, build_tenants


def list_source_configs(settings: Settings) -> dict[str, SourceConfig]:
    """Return the configured sources; without any there is one, generic."""
    return dict(settings.sources) or {GENERIC: SPECS[GENERIC].config(type=GENERIC)}


def build_dedupe_times(settings: Settings) -> dict[str, int]:
    """Return how long each source's message ids are remembered, s, where that is not batching.dedupe_s."""
    times = {
        name: config.dedupe_s or SPECS[config.type].dedupe_s
        for name, config in list_source_configs(settings).items()
    }
    return {name: seconds for name, seconds in times.items() if seconds is not None}


def build_sources(settings: Settings) -> dict[str, ServedSource]:
    """Return the sources as the webhook serves them, by name."""
    limit = settings.batching.max_text_bytes
    return {name: _serve(name, config, limit) for name, config in list_source_configs(settings).items()}


def _serve(name: str, config: SourceConfig, max_text_bytes: int) -> ServedSource:
    spec = SPECS[config.type]
    tenants = build_source_tenants(config)
    if tenants is not None:  # then the source names no company, and each account has its own
        config = config.model_copy(update={"company": ""})
    source = spec.build_source(name, config, max_text_bytes)
    return ServedSource(
        name=name,
        type=config.type,
        source=source,
        verified=bool(config.secrets),
        insecure=config.insecure,
        in_words=config.answers_in_words,
        json_only=not config.secrets and not spec.accepts,
        handshake_hint=config.handshake_hint(name),
        max_body_bytes=spec.max_body_bytes,
        opens_bodies=config.opens_bodies,
        answer=config.answer_text,
        has_own_proof=config.find_auth() is None,
        tenants=tenants,
        proofs=_list_proofs(config, source),
        write_sample=partial(spec.write_sample, name, config),
    )


def _list_proofs(config: SourceConfig, source: Source) -> tuple[ProofParts, ...]:
    """Return the ways in which a request may prove itself; none without secrets."""
    if not config.secrets:
        return ()
    auth = config.find_auth()
    if auth is None:
        return tuple((("header", name.title()),) for name in source.proof_headers)
    if isinstance(auth, BasicAuth):
        return ((("basic", auth.place.name),),)
    is_bearer = isinstance(auth, TokenAuth | JwtAuth) and auth.place.name.lower() == "authorization"
    places = [("bearer" if is_bearer else auth.place.kind, auth.place.name)]
    timestamp = auth.timestamp if isinstance(auth, HmacAuth) else None
    return ((*places, *([(timestamp.kind, timestamp.name)] if timestamp else [])),)


def build_source_tenants(config: SourceConfig) -> Tenants | None:
    """Return the companies behind the accounts of a source; None where they do not depend on those."""
    return build_tenants(
        config.companies,
        decode_company(config.company),
        quarantines_unknown=config.unknown_account == "quarantine",
    )


def has_tenants(settings: Settings) -> bool:
    """Say whether companies depend on accounts in any source: then a person may write to several at a time."""
    return any(build_source_tenants(config) is not None for config in settings.sources.values())


def check_exposure(settings: Settings, closing: str = "http.host = 127.0.0.1") -> None:
    """Refuse to listen beyond this machine with a source that nothing verifies. Raises SettingsError.

    `closing` is what an operator writes so that only this machine reaches the listener.
    """
    if not is_open_to_others(settings):
        return
    problems = [
        f"sources.{name}: it has no secrets, and the listener on {settings.http.host} is open to others"
        for name, config in list_source_configs(settings).items()
        if not config.secrets and not config.insecure
    ]
    if problems:
        step = f"set its secrets, or {closing}, or insecure = true if you mean it"
        raise SettingsError(problems, next=step)


def is_open_to_others(settings: Settings) -> bool:
    """Say whether other machines reach the listener."""
    return not settings.http.is_on_loopback


def list_insecure_sources(settings: Settings) -> list[str]:
    """Return the names of the sources that take unverified requests from everywhere."""
    return [
        name
        for name, config in list_source_configs(settings).items()
        if config.insecure and not config.secrets
    ]


def list_open_sources(settings: Settings) -> list[str]:
    """Return the names of the sources that take unverified requests, where other machines reach the listener."""
    return list_insecure_sources(settings) if is_open_to_others(settings) else []
