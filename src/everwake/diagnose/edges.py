"""What the edges of platforms say by themselves, without any key: status, headers and the words of their own error pages. Pure.

A signature is a hint, not a verdict: it names causes and how sure each is. Rules take the hints from here and weigh them with
the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from everwake.diagnose._signature import Signature
from everwake.diagnose._signatures import SIGNATURES
from everwake.diagnose.look import Look
from everwake.model import Evidence

__all__ = ["Hint", "hints", "platform_of", "signature_of"]

_HOSTS = {
    ".onrender.com": "render",
    ".up.railway.app": "railway",
    ".railway.app": "railway",
    ".fly.dev": "fly",
    ".koyeb.app": "koyeb",
    ".hf.space": "huggingface",
    "huggingface.co": "huggingface",
    ".herokuapp.com": "heroku",
    ".vercel.app": "vercel",
    ".now.sh": "vercel",
    ".netlify.app": "netlify",
    ".run.app": "cloud_run",
    ".ngrok.io": "ngrok",
    ".ngrok-free.app": "ngrok",
    ".ngrok.app": "ngrok",
    ".ngrok.dev": "ngrok",
    ".ngrok-free.dev": "ngrok",
    ".trycloudflare.com": "cloudflare",
    ".github.io": "github_pages",
}
_HEADERS = {
    "x-render-routing": "render",
    "x-render-origin-server": "render",
    "rndr-id": "render",
    "x-railway-fallback": "railway",
    "x-railway-edge": "railway",
    "x-railway-request-id": "railway",
    "fly-request-id": "fly",
    "x-koyeb-route": "koyeb",
    "x-vercel-error": "vercel",
    "x-vercel-id": "vercel",
    "x-nf-request-id": "netlify",
    "ngrok-error-code": "ngrok",
    "x-cloud-trace-context": "cloud_run",
    "cf-ray": "cloudflare",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A cause that an answer points to. sure: 0..1, from this answer alone.   means: in a clause."""

    cause: str
    sure: float
    evidence: tuple[Evidence, ...]
    means: str


def platform_of(look: Look) -> str:
    """Whose edge answered, as far as host and headers tell; "" when they do not."""
    host = look.host
    by_host = next((name for end, name in _HOSTS.items() if host.endswith(end)), "")
    if by_host:
        return by_host
    told = [name for header, name in _HEADERS.items() if header in look.headers]
    if "server" in look.headers:
        server = look.headers["server"].lower()
        names = {
            "railway": "railway",
            "fly/": "fly",
            "vercel": "vercel",
            "netlify": "netlify",
            "google frontend": "cloud_run",
            "heroku": "heroku",
            "cowboy": "heroku",
            "cloudflare": "cloudflare",
            "github.com": "github_pages",
        }
        told += [name for word, name in names.items() if word in server]
    if "heroku" in look.headers.get("via", "").lower() or "vegur" in look.headers.get("via", ""):
        told.append("heroku")
    return next((name for name in told if name != "cloudflare"), told[0] if told else "")


def signature_of(look: Look, where: str) -> Signature | None:
    """The first signature that fits. An app that answered well by itself has none, whatever words its page holds."""
    low = look.low[:4_000]
    for signature in SIGNATURES:
        if signature.fits(look, where, low):
            own = look.is_json and signature.header is None and look.status is not None
            if own and not _platform_writes_json(low):
                continue
            return signature
    return None


def _platform_writes_json(low: str) -> bool:
    """Railway's edge, among few, answers in JSON."""
    return any(
        word in low
        for word in (
            "application not found",
            "application failed to respond",
            "deployment_",
            "router_external",
            "err_ngrok",
            "function_invocation",
        )
    )


def hints(look: Look, where: str) -> Iterator[Hint]:
    """The causes that an answer points to by its edge's signature."""
    signature = signature_of(look, where)
    if signature is None:
        return
    cited = []
    if signature.header is not None:
        cited.append(look.cite_header(signature.header[0]))
    if look.status is not None:
        cited.append(look.cite_status())
    if signature.words:
        word = next(word for word in signature.words if word in look.low)
        cited.append(look.cite_body(word))
    for cause, sure in signature.points:
        yield Hint(cause=cause, sure=sure, evidence=tuple(cited), means=signature.means)
