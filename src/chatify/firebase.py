"""Who is speaking? Firebase ID tokens, verified by the official firebase-admin, and the backend's service token.

`import firebase_admin` and the check of the credentials take a good part of a second on a small machine, so `load` does them in
a thread once the port is open; nothing waits for it but a request that needs a verified user. To verify an ID token only the
project id and Google's public certificates are needed: a broken private key is told in `state` and stops nobody.
"""

import asyncio
import base64
import binascii
import hmac
import itertools
import json
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chatify.problems import Problem

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["Caller", "Service", "SignIn", "Unauthorized", "User", "may_act_for"]

DEADLINE_S: Final = 6.0
FETCH_S: Final = 3.0
THREADS: Final = 4
MAX_WAITING: Final = 256
MAX_TOKEN_CHARS: Final = 8_192  # Firebase's own are about 1 KB; custom claims are limited to 1,000 bytes
MAX_CREDENTIALS_BYTES: Final = 65_536
_EMULATOR: Final = "FIREBASE_AUTH_EMULATOR_HOST"
_names = itertools.count(1)  # firebase-admin keeps its apps by name in one table of the process


@dataclass(frozen=True, slots=True)
class User:
    """A person who signed in. id: the `uid` of the token."""

    id: str


@dataclass(frozen=True, slots=True)
class Service:
    """A service of ours that showed the service token."""


Caller = User | Service


def may_act_for(caller: Caller, user_id: str) -> bool:
    """A person acts for themselves only, a service of ours for anyone."""
    match caller:
        case Service():
            return True
        case User(id=own):
            return own == user_id


class Unauthorized(Problem):
    """401 with the challenge that RFC 6750 asks for. The detail never quotes the token."""

    def __init__(self, detail: str, *, error: str | None = "invalid_token") -> None:
        super().__init__(401, "unauthorized", detail)
        self._error = error

    @property
    def headers(self) -> dict[str, str]:
        challenge = 'Bearer realm="chatify"' + (f', error="{self._error}"' if self._error else "")
        return {**super().headers, "WWW-Authenticate": challenge}


class BadCredentials(Exception):  # noqa: N818
    """The service account cannot be used. The message is ours and holds nothing of it."""


class SignIn:
    """Verifies callers. Make one, `await load()` in the background, then `await caller(header)`.

    state: `not configured`, `loading`, `ok`, or `broken: ` and why, for /health/ready.
    """

    def __init__(
        self, *, project_id: str | None = None, credentials: "SecretStr | str | None" = None,
        credentials_file: Path | None = None, client_email: str | None = None,
        private_key: "SecretStr | str | None" = None, service_token: "SecretStr | str | None" = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:  # fmt: skip
        self._project_id = project_id
        self._credentials = _revealed(credentials)
        self._credentials_file = credentials_file
        self._client_email = client_email
        self._private_key = _revealed(private_key)
        self._service_token = (_revealed(service_token) or "").encode()
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sign-in")
        self._loading = asyncio.Lock()
        self._verifier: _Verifier | None = None
        self._waiting = 0
        self.is_configured = bool(project_id or self._credentials or credentials_file or self._private_key)
        self.state = "loading" if self.is_configured else "not configured"

    def __repr__(self) -> str:
        return f"SignIn(state={self.state!r})"

    async def load(self) -> str:
        """Import firebase-admin and look at the credentials, once, in a thread. The state afterwards; never raises."""
        async with self._loading:
            if self.state == "loading":
                loop = asyncio.get_running_loop()
                self._verifier, self.state = await loop.run_in_executor(self._threads, self._prepared)
            return self.state

    async def close(self) -> None:
        """Let go; a fetch that is under way ends by its own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        verifier, self._verifier = self._verifier, None
        if verifier is not None:
            verifier.close()

    async def caller(self, authorization: str | None) -> Caller:
        """Who sent this `Authorization` header.

        Raises:
            Problem: 401 `unauthorized` without a valid token, 503 `sign_in_unavailable` when it cannot be verified now.
        """
        token = _bearer(authorization)
        if self._service_token and hmac.compare_digest(token.encode(errors="replace"), self._service_token):
            return Service()
        return User(await self.verify(token))

    async def verify(self, token: str) -> str:
        """The user id an ID token stands for. Raises as `caller` does."""
        if not _looks_like_a_token(token):
            raise Unauthorized("This is not an ID token.")
        if self._waiting >= MAX_WAITING:
            raise _unavailable("Too many sign-ins at once.", 1)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._deadline_s):
                await self.load()
                if self._verifier is None:
                    raise _unavailable("Sign-in is not set up.", 60)
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._verifier.verify, token)
        except TimeoutError:
            raise _unavailable("The sign-in could not be verified in time.", 5) from None
        finally:
            self._waiting -= 1

    def _prepared(self) -> "tuple[_Verifier | None, str]":
        problem, account = None, None
        try:
            account = self._account()
        except BadCredentials as found:
            problem = str(found)
        project_id = self._project_id or (account or {}).get("project_id")
        if os.environ.get(_EMULATOR):
            # firebase-admin then takes unsigned tokens for good.
            return None, f"broken: {_EMULATOR} is set, so tokens would not be verified; remove it"
        if not project_id:
            return None, f"broken: {problem or 'FIREBASE_PROJECT_ID is missing'}"
        try:
            verifier = _Verifier(project_id, account)
        except BadCredentials as found:
            problem, verifier = str(found), _Verifier(project_id, None)
        return verifier, "ok" if problem is None else f"broken: {problem}"

    def _account(self) -> dict[str, Any] | None:
        """The service account, from the JSON text, the file or the triple; None when there is none."""
        text, source = self._credentials, "FIREBASE_CREDENTIALS"
        if text is None and self._credentials_file is not None:
            source = "FIREBASE_CREDENTIALS_FILE"
            text = _file_text(self._credentials_file, source)
        if text is not None:
            return _account_of(text, source)
        if self._private_key is None:
            return None
        if not (self._client_email and self._project_id):
            raise BadCredentials("FIREBASE_PRIVATE_KEY needs FIREBASE_CLIENT_EMAIL and FIREBASE_PROJECT_ID beside it")
        return {
            "type": "service_account", "project_id": self._project_id, "client_email": self._client_email,
            "private_key": _with_newlines(self._private_key), "token_uri": "https://oauth2.googleapis.com/token",
        }  # fmt: skip


class _Verifier:
    """One firebase-admin app under a name of its own. Blocking; lives in the threads of `SignIn`.

    Google's certificates are cached by firebase-admin for as long as their `Cache-Control` says.
    """

    def __init__(self, project_id: str, account: Mapping[str, Any] | None) -> None:
        import firebase_admin
        from firebase_admin import auth, credentials
        from google.auth.credentials import AnonymousCredentials

        credential: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]
        if account is not None:
            try:
                credential = credentials.Certificate(dict(account))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                # The library's message may quote the account, so only the kind of error is told.
                raise BadCredentials(
                    f"the private key cannot be read ({type(error).__name__}); paste it anew from the service account"
                ) from None
        self._auth = auth
        self._admin = firebase_admin
        self._app = firebase_admin.initialize_app(
            credential, {"projectId": project_id, "httpTimeout": FETCH_S}, name=f"chatify-{next(_names)}"
        )

    def close(self) -> None:
        self._admin.delete_app(self._app)

    def verify(self, token: str) -> str:
        if os.environ.get(_EMULATOR):
            raise _unavailable("Sign-in is not set up.", 60)
        try:
            claims = self._auth.verify_id_token(token, app=self._app)
        except self._auth.CertificateFetchError:
            raise _unavailable("Google's certificates could not be fetched.", 5) from None
        except self._auth.ExpiredIdTokenError:
            raise Unauthorized("The ID token has expired: sign in again.") from None
        except self._auth.InvalidIdTokenError as error:
            # A certificate answer that is no JSON comes out as an invalid token; the token itself was parsed before.
            if isinstance(error.cause, json.JSONDecodeError):
                raise _unavailable("Google's certificates could not be read.", 5) from None
            raise Unauthorized("The ID token is not valid here.") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            # google-auth takes claims of unforeseen types apart without looking (`exp` as a list, say).
            raise Unauthorized("The ID token is not valid here.") from None
        return str(claims["uid"])


def _unavailable(detail: str, retry_after_s: int) -> Problem:
    return Problem(503, "sign_in_unavailable", detail, retry_after_s=retry_after_s)


def _revealed(secret: "SecretStr | str | None") -> str | None:
    value = secret.get_secret_value() if secret is not None and not isinstance(secret, str) else secret
    return value or None


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise Unauthorized("Sign in: send the ID token as `Authorization: Bearer ...`.", error=None)
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("Sign in: send the ID token as `Authorization: Bearer ...`.", error="invalid_request")
    return token.strip()


def _looks_like_a_token(token: str) -> bool:
    """Three parts in base64url, the first two JSON objects. What is not never reaches the library."""
    if len(token) > MAX_TOKEN_CHARS or not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token, re.ASCII):
        return False
    for part in token.split(".")[:2]:
        try:
            if not isinstance(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))), dict):
                return False
        except (ValueError, binascii.Error, RecursionError):
            return False
    return True


def _file_text(path: Path, source: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CREDENTIALS_BYTES + 1)
    except OSError as error:
        raise BadCredentials(f"the file of {source} cannot be read: {error.strerror}") from None
    return raw.decode("utf-8-sig", errors="replace")


def _account_of(text: str, source: str) -> dict[str, Any]:
    if len(text) > MAX_CREDENTIALS_BYTES:
        raise BadCredentials(f"{source} is larger than any service account")
    try:
        account = json.loads(text.strip(), strict=False)  # a pasted key may hold real line ends
    except json.JSONDecodeError as error:
        raise BadCredentials(f"{source} is not JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise BadCredentials(f"{source} is not a service account") from None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise BadCredentials(f'{source} is not a service account ("type": "service_account")')
    missing = [
        name for name in ("project_id", "client_email", "private_key", "token_uri")
        if not isinstance(account.get(name), str) or not account[name]
    ]  # fmt: skip
    if missing:
        raise BadCredentials(f"{source} lacks {', '.join(missing)}")
    return {**account, "private_key": _with_newlines(account["private_key"])}


def _with_newlines(key: str) -> str:
    """Dashboards keep `\\n` as two characters, and quotes round it."""
    return key.strip().strip("\"'").replace("\\n", "\n")
