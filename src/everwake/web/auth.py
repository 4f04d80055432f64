"""Who may do what: pure decisions on hosts, origins, passwords and cookies. Nothing here does I/O or reads a clock.

- Off loopback a keeper does not start without a password or token.
- Host: a name that is not ours is turned away, so that no foreign page reaches a keeper on loopback by DNS rebinding. Any literal
  address is let through: what has no name cannot be rebound.
- Writes: a browser says where a request comes from (`Sec-Fetch-Site`, `Origin`); from anywhere but our own page it is refused. A
  script says nothing of the kind and is let through, for no foreign page can keep a browser from saying it.
"""

import base64
import hashlib
import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from everwake.errors import Misused
from everwake.fleet.schema import Keeper, Secret

__all__ = ["Attempts", "Doorkeeper", "is_loopback", "require_safe", "split_host"]

COOKIE = "everwake_session"
COOKIE_LASTS_S = 30 * 86_400


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    bare = host.strip("[]").lower().rstrip(".")
    if bare == "localhost":
        return True
    address = _address(bare)
    return address is not None and address.is_loopback


def require_safe(settings: Keeper) -> None:
    """Refuse to be open to the network without a password or token.

    Raises:
        Misused: with what to write into the fleet file.
    """
    if is_loopback(settings.host) or settings.password is not None or settings.token is not None:
        return
    raise Misused(
        f"the keeper would listen on {settings.host or 'every address'} without a password",
        hint='set password = { env = "EVERWAKE_PASSWORD" } (or token) under [keeper], or listen on 127.0.0.1',
    )


def split_host(host: str) -> str:
    """The name or address in a Host header, lower case, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class Doorkeeper:
    """What one keeper's settings allow. key: signs cookies; whoever has it, and the password, can make one."""

    def __init__(self, settings: Keeper, key: bytes) -> None:
        public = urlsplit(settings.public_url or "")
        self._hosts = {"localhost", *(split_host(name) for name in settings.allowed_hosts)}
        self._hosts |= {name.lower() for name in (settings.host, public.hostname or "") if name}
        self._public_host, self._public_origin = public.hostname, _origin(settings.public_url)
        self._is_https_outside = public.scheme == "https"
        self._password, self._token = _bytes(settings.password), _bytes(settings.token)
        # A new password makes every cookie of the old one worthless.
        self._key = hmac.digest(key, b"everwake cookie:" + (self._password or self._token or b""), "sha256")

    @property
    def asks(self) -> bool:
        """Whether one has to sign in at all."""
        return self._password is not None or self._token is not None

    # --- where it comes from ------------------------------------------------------------------------------------------

    def is_own_host(self, host: str) -> bool:
        """Whether a request with that Host header is meant for us."""
        name = split_host(host).rstrip(".")
        return name in self._hosts or _address(name.partition("%")[0]) is not None

    def may_write(self, headers: Mapping[str, str], scheme: str) -> bool:
        """Whether a request that changes something comes from our own page, or from no page at all."""
        site = headers.get("sec-fetch-site")
        if site is not None and site not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        if origin is None:
            return True
        said = _origin(origin)
        if said is None:
            return False  # "null" and the like
        # Behind a proxy that ends TLS the page is https and we are not, so the scheme alone decides nothing.
        own = {_origin(f"{one}://{headers.get('host', '')}") for one in {scheme, "https"}}
        return said in own or (self._public_origin is not None and said == self._public_origin)

    def is_secure(self, headers: Mapping[str, str], scheme: str) -> bool:
        """Whether the browser speaks https to us, as far as can be known; then a cookie may insist on it."""
        behind = self._is_https_outside and split_host(headers.get("host", "")) == self._public_host
        return scheme == "https" or behind

    # --- who it is ----------------------------------------------------------------------------------------------------

    def is_password(self, text: str) -> bool:
        """Whether that is the password (the token, where there is no password). In constant time."""
        return _same(text, self._password or self._token)

    def is_token(self, authorization: str) -> bool:
        """Whether an Authorization header carries the token. In constant time."""
        scheme, _, credentials = authorization.partition(" ")
        return scheme.lower() == "bearer" and _same(credentials.strip(), self._token)

    def cookie(self, now: datetime) -> str:
        """A cookie for somebody who has just signed in."""
        until = str(int(now.timestamp()) + COOKIE_LASTS_S)
        return f"{until}.{self._signature(until)}"

    def is_signed_in(self, cookie: str, now: datetime) -> bool:
        """Whether we made that cookie, not too long ago."""
        until, _, signature = cookie.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) <= 12):
            return False
        return _same(signature, self._signature(until).encode()) and int(until) > now.timestamp()

    def _signature(self, until: str) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self._key, until.encode(), "sha256")).decode().rstrip("=")


def _bytes(secret: Secret | None) -> bytes | None:
    return None if secret is None else secret.reveal().encode()


def _same(text: str, wanted: bytes | None) -> bool:
    # Digests are of one length, so not even the length of the secret can be measured.
    if wanted is None:
        return False
    given = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return hmac.compare_digest(given, hashlib.sha256(wanted).digest())


def _origin(url: str | None) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None for what has none."""
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return parts.scheme, parts.hostname.lower(), port or (443 if parts.scheme == "https" else 80)


class Attempts:
    """How often somebody may be wrong: `burst` times at once, then once in `each_s` seconds, for each address.

    Who is right is never counted. At most `most` addresses are remembered.
    """

    def __init__(self, burst: int = 10, each_s: float = 6.0, most: int = 10_000) -> None:
        self._burst_s, self._each_s, self._most = burst * each_s, each_s, most
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """Seconds until that address may try again; 0 for now."""
        return max(0.0, self._free_at.get(address, now_s) + self._each_s - self._burst_s - now_s)

    def failed(self, address: str, now_s: float) -> None:
        """That address was wrong."""
        self._free_at[address] = max(self._free_at.get(address, now_s), now_s) + self._each_s
        self._free_at.move_to_end(address)
        if len(self._free_at) > self._most:
            self._free_at.popitem(last=False)
