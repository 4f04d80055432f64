"""The only place that turns the SDK's exceptions into a `ProviderFailure`.

Importing it imports `openai`, so only `openai.py` does, when it is first used. A test walks the exception classes of the SDK
and of its HTTP library and fails on one that is not in `RULES`.
"""

import email.utils
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx2
import openai

from chatify.chatbot.providers.port import ProviderFailure, Unreadable
from chatify.masking import mask

__all__ = ["KNOWN", "RULES", "Rule", "Verdict", "judge", "retry_after_s", "unwanted"]

SOON_S, LATER_S, LONGEST_S = 5, 60, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one class of exception means. says: for the user, who cannot change it. is_passing: another try may do."""

    says: str
    is_passing: bool
    rejected_key: bool = False
    after_s: int = SOON_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """failure: for the client. is_passing: another try may do. asked_s: how long the provider asked to be left alone.

    cause: for the log: class, HTTP status and the provider's own code, masked; never its message.
    """

    failure: ProviderFailure
    is_passing: bool
    asked_s: float | None
    cause: str


_UNREACHABLE = Rule(says="The AI provider could not be reached.", is_passing=True)
_SLOW = Rule(says="The AI provider took too long.", is_passing=True)
_BROKE_OFF = Rule(says="The AI provider broke off its reply.", is_passing=True)
_NONSENSE = Rule(says="The AI provider sent an answer that cannot be read.", is_passing=True)
_FELL_OVER = Rule(says="The AI provider has an error of its own.", is_passing=True)
_BUSY = Rule(says="The AI provider is asked too much at the moment.", is_passing=True)
_SPENT = Rule(says="The AI provider's quota is used up.", is_passing=False, after_s=LATER_S)
_REFUSED = Rule(says="The AI provider refused the request.", is_passing=False, after_s=LATER_S)
_KEY = Rule(says="The AI provider rejected the service's key.", is_passing=False, rejected_key=True)
_OURS = Rule(says="The AI provider could not be asked.", is_passing=False, after_s=LATER_S)

RULES: Final[Mapping[type[BaseException], Rule]] = {
    openai.OpenAIError: _OURS,
    openai.APIError: _FELL_OVER,  # raised as such for an error object in the middle of a stream
    openai.APIConnectionError: _UNREACHABLE,
    openai.APITimeoutError: _SLOW,
    openai.APIResponseValidationError: _NONSENSE,
    openai.APIStatusError: _REFUSED,
    openai.AuthenticationError: _KEY,
    openai.OAuthError: _KEY,
    openai.PermissionDeniedError: _KEY,
    openai.BadRequestError: _REFUSED,
    openai.NotFoundError: _REFUSED,
    openai.UnprocessableEntityError: _REFUSED,
    openai.ConflictError: _BUSY,
    openai.RateLimitError: _BUSY,
    openai.InternalServerError: _FELL_OVER,
    openai.LengthFinishReasonError: _NONSENSE,
    openai.ContentFilterFinishReasonError: _REFUSED,
    openai.InvalidWebhookSignatureError: _OURS,
    openai.WebSocketConnectionClosedError: _BROKE_OFF,
    openai.WebSocketQueueFullError: _OURS,
    # The HTTP library's own, when a body is read piece by piece.
    httpx2.HTTPError: _UNREACHABLE,
    httpx2.RequestError: _UNREACHABLE,
    httpx2.HTTPStatusError: _REFUSED,
    httpx2.TransportError: _UNREACHABLE,
    httpx2.TimeoutException: _SLOW,
    httpx2.ConnectTimeout: _SLOW,
    httpx2.ReadTimeout: _SLOW,
    httpx2.WriteTimeout: _SLOW,
    httpx2.PoolTimeout: _SLOW,
    httpx2.NetworkError: _UNREACHABLE,
    httpx2.ConnectError: _UNREACHABLE,
    httpx2.ReadError: _BROKE_OFF,
    httpx2.WriteError: _BROKE_OFF,
    httpx2.CloseError: _BROKE_OFF,
    httpx2.ProtocolError: _BROKE_OFF,
    httpx2.RemoteProtocolError: _BROKE_OFF,
    httpx2.LocalProtocolError: _OURS,
    httpx2.ProxyError: _UNREACHABLE,
    httpx2.UnsupportedProtocol: _OURS,
    httpx2.DecodingError: _NONSENSE,
    httpx2.TooManyRedirects: _REFUSED,
    httpx2.InvalidURL: _OURS,
    httpx2.CookieConflict: _OURS,
    httpx2.SSEError: _NONSENSE,
    httpx2.StreamError: _BROKE_OFF,
    httpx2.StreamConsumed: _BROKE_OFF,
    httpx2.StreamClosed: _BROKE_OFF,
    httpx2.ResponseNotRead: _BROKE_OFF,
    httpx2.RequestNotRead: _OURS,
    # Ours: the deadline of the whole reply, and what cannot be read.
    TimeoutError: _SLOW,
    Unreadable: _NONSENSE,
}
KNOWN: Final = tuple(RULES)


def judge(error: Exception, now: datetime) -> Verdict:
    """What `error` means for the user and for another try."""
    rule = next((RULES[kind] for kind in type(error).__mro__ if kind in RULES), _OURS)
    asked_s, cause = None, type(error).__name__
    if isinstance(error, openai.APIError):
        # api.openai.com sends 429 for two things that only this code tells apart (platform.openai.com/docs/guides/error-codes,
        # read 2026-11): too many requests, and no money left, which no waiting cures.
        if error.code == "insufficient_quota":
            rule = _SPENT
        if error.code:
            cause += f" code={mask(str(error.code)[:80], 40)}"
    if isinstance(error, openai.APIStatusError):
        cause += f" status={error.status_code}"
        asked_s = retry_after_s(error.response.headers, now)
        if error.status_code == 408:
            rule = _SLOW
    if rule.rejected_key:
        failure = ProviderFailure(502, "provider_rejected_key", rule.says)
    else:
        wait_s = rule.after_s if asked_s is None else min(max(math.ceil(asked_s), 1), LONGEST_S)
        failure = ProviderFailure(503, "provider_unavailable", rule.says, retry_after_s=wait_s)
    return Verdict(failure=failure, is_passing=rule.is_passing, asked_s=asked_s, cause=cause)


def unwanted(error: Exception, request: Mapping[str, object], optional: Sequence[str]) -> str | None:
    """The optional parameter of `request` that the server does not take, if that is what `error` may mean.

    api.openai.com names it in `error.param`; others say 400 or 422 and nothing more.
    """
    if not isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError):
        return None
    sent = [name for name in optional if name in request]
    named = str(error.param or "").partition(".")[0]
    if named:
        return named if named in sent else None
    return sent[0] if sent and sent[0] == "stream_options" else None


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the server asked to be left alone: `retry-after-ms`, `Retry-After` in seconds or as a date; else None."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(wait_s) and wait_s >= 0:
            return wait_s
    try:
        at = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max((at - now).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
