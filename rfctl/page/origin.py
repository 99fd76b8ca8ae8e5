"""Whether a request comes from the page itself, as the browser says; a foreign site neither reads nor acts."""

from __future__ import annotations

from urllib.parse import urlsplit

from rfctl.ingest.head import Head
from rfctl.ingest.rejections import RejectedError

_PORTS = {"http": 80, "https": 443}


def check_reads_for_itself(head: Head) -> None:
    """Refuse what a browser fetches for another site. Raises RejectedError.

    Such a site could not read the answer, but the look at Redis would be made for it.
    """
    site = head.find_value(b"sec-fetch-site")
    if site not in (b"", b"same-origin", b"none"):
        raise _refuse(f"the browser asks for another site ({site[:20].decode('latin-1')})")


def check_acts_for_itself(head: Head) -> None:
    """Take only what the browser says is of the page's own. Raises RejectedError."""
    if head.find_value(b"sec-fetch-site"):
        check_reads_for_itself(head)
        if head.find_value(b"sec-fetch-site") == b"same-origin":
            return
    origin = head.find_value(b"origin")
    if not origin:
        raise _refuse("no Origin says that the page itself asks")
    if not is_own(head, origin):
        raise _refuse(f"the Origin is {origin[:100].decode('latin-1')!r}")


def check_form(head: Head) -> None:
    """Refuse a form of another site. Raises RejectedError.

    A form of our own has no Origin that says so: the page asks browsers not to name it.
    """
    origin = head.find_value(b"origin")
    check_reads_for_itself(head)
    is_named = origin not in (b"", b"null")
    if is_named and head.find_value(b"sec-fetch-site") != b"same-origin" and not is_own(head, origin):
        raise _refuse(f"the Origin is {origin[:100].decode('latin-1')!r}")


def is_own(head: Head, origin: bytes) -> bool:
    """Say whether an Origin is the host that was asked, also where a proxy has changed the Host."""
    asked = [head.find_value(b"host"), head.find_value(b"x-forwarded-host").partition(b",")[0].strip()]
    try:
        parts = urlsplit(origin.decode("latin-1"))
        wanted = (parts.hostname, parts.port or _PORTS.get(parts.scheme))
        own = {_read_authority(host.decode("latin-1"), parts.scheme) for host in asked if host}
    except ValueError:
        return False
    return parts.scheme in _PORTS and bool(parts.hostname) and wanted in own


def _read_authority(authority: str, scheme: str) -> tuple[str | None, int | None]:
    parts = urlsplit(f"//{authority}")
    return parts.hostname, parts.port or _PORTS.get(scheme)


def _refuse(why: str) -> RejectedError:
    fact = f"only the page itself may ask for this, and {why}"
    return RejectedError(
        fact, 403, "origin", next="open the page under the name that its proxy passes on as Host"
    )
