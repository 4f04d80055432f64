"""The signatures of platforms' edges: which answer points to which cause, and how sure. Data.

Render's header was read in many captures (2025-2026); the others are documented by their platforms: Heroku error codes
(devcenter.heroku.com/articles/error-codes), Fly (fly.io/docs/reference/error-codes), Vercel (vercel.com/docs/errors), Cloudflare
5xx (developers.cloudflare.com/support), ngrok (ngrok.com/docs/errors), from general knowledge and public logs, 2026-11.
"""

from everwake.diagnose._signature import Signature
from everwake.diagnose._signatures_hosts import HOSTS

__all__ = ["SIGNATURES"]


def _r(value: str, means: str, *points: tuple[str, float], status: tuple[int, ...] = ()) -> Signature:
    return Signature(header=("x-render-routing", value), status=status, means=means, points=points)


_VERCEL: tuple[tuple[str, str, tuple[tuple[str, float], ...]], ...] = (
    ("DEPLOYMENT_NOT_FOUND", "no deployment has this host", (("no_such_service", 0.9), ("no_live_deploy", 0.5))),
    (
        "DEPLOYMENT_DISABLED",
        "Vercel disabled the deployment",
        (("suspended_by_platform", 0.9), ("suspended_free_quota", 0.55)),
    ),
    ("DEPLOYMENT_BLOCKED", "Vercel blocked the deployment", (("suspended_by_platform", 0.9),)),
    ("DEPLOYMENT_PAUSED", "the deployment is paused", (("suspended_by_owner", 0.65), ("suspended_free_quota", 0.6))),
    ("DEPLOYMENT_DELETED", "the deployment was deleted", (("no_such_service", 0.9),)),
    ("DEPLOYMENT_NOT_READY", "the deployment is not ready yet", (("deploy_in_progress", 0.8),)),
    (
        "FUNCTION_INVOCATION_FAILED",
        "the function ended before it answered",
        (("app_error", 0.75), ("crashed_at_start", 0.6)),
    ),
    ("FUNCTION_INVOCATION_TIMEOUT", "the function took too long", (("app_error", 0.65), ("dependency_service", 0.4))),
    (
        "EDGE_FUNCTION_INVOCATION",
        "an edge function ended before it answered",
        (("app_error", 0.7), ("crashed_at_start", 0.6)),
    ),
    (
        "MIDDLEWARE_INVOCATION",
        "the middleware ended before it answered",
        (("app_error", 0.7), ("crashed_at_start", 0.6)),
    ),
    ("NO_RESPONSE_FROM_FUNCTION", "the function did not answer", (("app_error", 0.65),)),
    ("FUNCTION_THROTTLED", "too many functions at once", (("suspended_free_quota", 0.5), ("app_error", 0.45))),
    ("FUNCTION_PAYLOAD_TOO_LARGE", "the answer is larger than allowed", (("app_error", 0.8),)),
    (
        "ROUTER_EXTERNAL_TARGET",
        "a rewrite leads to something that does not answer",
        (("wrong_service_url", 0.65), ("dependency_service", 0.6)),
    ),
    ("ROUTER_CANNOT_MATCH", "the routes of the project do not fit", (("app_error", 0.6),)),
    ("DNS_HOSTNAME", "a rewrite leads to a host that cannot be looked up", (("wrong_service_url", 0.8),)),
    ("INFINITE_LOOP_DETECTED", "a rewrite leads to itself", (("wrong_service_url", 0.75),)),
    ("SANDBOX_", "the sandbox does not answer", (("instance_unreachable", 0.6),)),
    ("INTERNAL_", "Vercel's own fault", (("platform_incident", 0.75),)),
    ("NOT_FOUND", "no such file in the deployment", (("static_assets_missing", 0.7),)),
    ("RESOURCE_NOT_FOUND", "no such file in the deployment", (("static_assets_missing", 0.7),)),
)

SIGNATURES = (
    # Render's header, the longest beginning first
    _r("suspend-by-user", "its owner suspended the service", ("suspended_by_owner", 0.97)),
    _r(
        "suspend-by-inactivity",
        "stopped for want of traffic (claimed, never seen)",
        ("asleep", 0.55),
        ("suspended_by_platform", 0.45),
    ),
    _r(
        "suspend",
        "Render suspended it and does not say why",
        ("suspended_by_platform", 0.9),
        ("suspended_free_quota", 0.5),
    ),
    _r("hibernate-pending-wake", "it was asleep and is waking", ("waking", 0.95)),
    _r(
        "hibernate-wake-error",
        "the edge gave up waking it",
        ("wake_failed", 0.75),
        ("crashed_at_start", 0.4),
        ("waking", 0.35),
    ),
    _r("hibernate-rate-limited", "it is asleep, and wake-ups are throttled", ("wake_throttled", 0.95)),
    _r("hibernate-wake", "it is waking (claimed, never seen)", ("waking", 0.7)),
    _r("hibernate", "it is asleep", ("asleep", 0.6), ("waking", 0.5)),
    _r("rate-limited", "the edge throttles requests to it", ("wake_throttled", 0.75)),
    _r("dynamic-hibernate-error", "it is asleep or starting cold", ("asleep", 0.6), ("waking", 0.55)),
    _r("dynamic-free-error", "a live instance on a free plan gave no answer", ("instance_unreachable", 0.75)),
    _r("dynamic-paid-error", "a live instance on a paid plan gave no answer", ("instance_unreachable", 0.75)),
    _r("dynamic", "a live instance gave no answer", ("instance_unreachable", 0.65), status=(500, 502, 503, 504)),
    _r(
        "no-deploy",
        "no instance is ready: never deployed, all deploys failed, or one is under way",
        ("no_live_deploy", 0.85),
        ("deploy_in_progress", 0.35),
    ),
    _r(
        "no-server",
        "the host belongs to nothing, or to a service with nothing live",
        ("no_live_deploy", 0.55),
        ("no_such_service", 0.52),
    ),
    _r("static-no-asset", "a static site without that file", ("static_assets_missing", 0.95)),
    _r(
        "rewrite-error",
        "a rewrite of a static site leads to something that does not answer",
        ("wrong_service_url", 0.6),
        ("dependency_service", 0.5),
    ),
    _r("wake", "it is waking (claimed, never seen)", ("waking", 0.5)),
    # Cloudflare, whatever stands behind it
    Signature(header=("cf-mitigated", ""), means="a bot check answered", points=(("edge_blocked", 0.97),)),
    Signature(
        words=(
            "just a moment...",
            "checking your browser before",
            "enable javascript and cookies to continue",
            "verify you are human",
            "cf-challenge",
            "challenge-platform",
        ),
        status=(403, 503, 429, 401),
        means="a bot check answered",
        points=(("edge_blocked", 0.95),),
    ),
    Signature(
        words=(
            "attention required! | cloudflare",
            "sorry, you have been blocked",
            "error 1020",
            "error code: 1020",
            "error 1010",
            "error code: 1010",
            "error 1015",
            "error code: 1015",
            "error 1006",
            "error code: 1006",
            "error 1012",
        ),
        means="a firewall answered",
        points=(("edge_blocked", 0.93),),
    ),
    Signature(header=("x-vercel-mitigated", ""), means="Vercel's firewall answered", points=(("edge_blocked", 0.95),)),
    Signature(
        words=(
            "request unsuccessful. incapsula",
            "access denied | ",
            "akamai",
            "ddos protection by",
            "sucuri website firewall",
            "the request could not be satisfied",
        ),
        status=(403, 503),
        means="a firewall answered",
        points=(("edge_blocked", 0.8),),
    ),
    Signature(
        words=("error 1033", "error code: 1033", "argo tunnel error", "cloudflare tunnel error"),
        means="the tunnel is not connected",
        points=(("tunnel_down", 0.96),),
    ),
    Signature(
        status=(530,),
        words=("1016", "origin dns error"),
        means="Cloudflare cannot look up the origin",
        points=(("domain_misrouted", 0.85), ("tunnel_down", 0.4)),
    ),
    Signature(
        words=(
            "error 1016",
            "error code: 1016",
            "error 1000",
            "error code: 1000",
            "error 1001",
            "error code: 1001",
            "error 1014",
            "error code: 1014",
            "dns points to prohibited ip",
            "error 1018",
        ),
        means="Cloudflare cannot place the host",
        points=(("domain_misrouted", 0.88),),
    ),
    Signature(
        status=(530,), means="Cloudflare reached no origin", points=(("tunnel_down", 0.65), ("domain_misrouted", 0.5))
    ),
    Signature(
        status=(521,), means="the origin refuses Cloudflare's connection", points=(("instance_unreachable", 0.8),)
    ),
    Signature(
        status=(522, 524),
        means="the origin does not answer Cloudflare in time",
        points=(("instance_unreachable", 0.75),),
    ),
    Signature(
        status=(523,),
        means="Cloudflare finds no way to the origin",
        points=(("domain_misrouted", 0.55), ("instance_unreachable", 0.54)),
    ),
    Signature(
        status=(525, 526),
        means="TLS between Cloudflare and the origin does not come about",
        points=(("dependency_tls", 0.75), ("domain_misrouted", 0.6)),
    ),
    Signature(
        status=(520,), means="the origin gave Cloudflare no usable answer", points=(("instance_unreachable", 0.7),)
    ),
    # tunnels
    Signature(
        words=("err_ngrok_3200", "err_ngrok_3004", "endpoint is offline"),
        means="the tunnel is not connected",
        points=(("tunnel_down", 0.95),),
    ),
    Signature(
        header=("ngrok-error-code", "err_ngrok_32"),
        means="the tunnel is not connected",
        points=(("tunnel_down", 0.96),),
    ),
    Signature(
        words=("err_ngrok_8012",),
        means="the tunnel stands, and nothing listens behind it",
        points=(("instance_unreachable", 0.7), ("wrong_port", 0.6)),
    ),
    Signature(
        header=("ngrok-error-code", "err_ngrok_8012"),
        means="the tunnel stands, and nothing listens behind it",
        points=(("instance_unreachable", 0.7), ("wrong_port", 0.6)),
    ),
    Signature(words=("err_ngrok_6024",), means="ngrok's warning page answered", points=(("edge_blocked", 0.9),)),
    Signature(
        header=("ngrok-error-code", "err_ngrok_6024"),
        means="ngrok's warning page answered",
        points=(("edge_blocked", 0.9),),
    ),
    Signature(
        words=("err_ngrok_72",), means="ngrok's free traffic is used up", points=(("suspended_free_quota", 0.85),)
    ),
    Signature(
        header=("ngrok-error-code", "err_ngrok_72"),
        means="ngrok's free traffic is used up",
        points=(("suspended_free_quota", 0.85),),
    ),
    Signature(header=("ngrok-error-code", ""), means="ngrok itself answered", points=(("tunnel_down", 0.6),)),
    Signature(
        words=("tunnel not found", "tunnel unavailable", "no tunnel here"),
        means="the tunnel is not connected",
        points=(("tunnel_down", 0.85),),
    ),
    # Vercel
    *(
        Signature(header=("x-vercel-error", name.lower()), means=means, points=points)
        for name, means, points in _VERCEL
    ),
    *(
        Signature(
            words=(name.lower(),),
            status=(400, 402, 404, 410, 413, 451, 429, 500, 502, 503, 504, 508),
            means=means,
            points=points,
        )
        for name, means, points in _VERCEL
        if name not in ("NOT_FOUND", "INTERNAL_", "SANDBOX_", "RESOURCE_NOT_FOUND")
    ),
    Signature(
        platform="vercel",
        status=(404,),
        words=("404: not_found", "code: not_found"),
        means="no such file in the deployment",
        points=(("static_assets_missing", 0.7), ("no_live_deploy", 0.3)),
    ),
    Signature(
        platform="vercel",
        status=(401,),
        words=("authentication required", "vercel authentication", "_vercel_sso"),
        means="Vercel's deployment protection answered",
        points=(("edge_blocked", 0.85),),
    ),
    # pages of suspension, wherever a proxy has stripped the header
    Signature(
        words=("suspended by its owner", "suspended by the owner", "suspended by user"),
        means="its owner suspended the service",
        points=(("suspended_by_owner", 0.93),),
    ),
    Signature(
        words=(
            "account has been suspended",
            "account is suspended",
            "account suspended",
            "suspicious activity",
            "violation of our terms",
        ),
        status=(200, 402, 403, 404, 410, 451, 503),
        means="the platform suspended the account",
        points=(("suspended_by_platform", 0.9),),
    ),
    Signature(
        words=(
            "quota limit",
            "usage limit has been",
            "free instance hours",
            "out of free hours",
            "exceeded the free",
            "usage_exceeded",
            "bandwidth limit exceeded",
            "monthly limit",
            "usage limits exceeded",
            "over its quota",
            "quota exceeded for this",
            "free dyno hours",
            "you have used up",
            "trial has expired",
            "trial has ended",
        ),
        status=(402, 403, 429, 503, 509),
        without=("api key", "tokens per", "requests per"),
        means="the free allowance is used up",
        points=(("suspended_free_quota", 0.85),),
    ),
    Signature(
        words=(
            "service has been suspended",
            "service suspended",
            "site has been suspended",
            "this site was disabled",
            "site_disabled",
            "website suspended",
            "site not available",
        ),
        status=(402, 403, 404, 503),
        means="the platform suspended it and does not say why",
        points=(("suspended_by_platform", 0.85), ("suspended_free_quota", 0.55)),
    ),
    Signature(
        status=(402,),
        means="payment is required",
        points=(("suspended_by_platform", 0.75), ("suspended_free_quota", 0.6)),
    ),
    *HOSTS,
    # Render without its header (a proxy has stripped it, or a person has not copied it)
    Signature(
        platform="render",
        words=(
            "service waking up",
            "application loading",
            "allocating compute resources",
            "steady hands",
            "incoming http request detected",
            "starting the instance",
        ),
        means="Render's loading page",
        points=(("waking", 0.9),),
    ),
    Signature(
        platform="render",
        words=("offline for maintenance", "maintenance mode", "under maintenance"),
        status=(503,),
        means="maintenance mode is on",
        points=(("maintenance_mode", 0.85),),
    ),
    Signature(
        platform="render",
        words=("service is currently unavailable. please try again in a few minutes",),
        means="a live instance gave no answer",
        points=(("instance_unreachable", 0.65),),
    ),
    Signature(
        platform="render",
        status=(502, 504),
        is_bare=True,
        means="the edge got no answer from the service",
        points=(("instance_unreachable", 0.6),),
    ),
    Signature(
        platform="render",
        status=(503,),
        is_bare=True,
        means="asleep or starting, when nothing else is told",
        points=(("waking", 0.42), ("asleep", 0.4)),
    ),
    Signature(
        platform="render",
        status=(429,),
        words=("too many requests",),
        without=("{",),
        means="wake-ups are throttled, as far as shows",
        points=(("wake_throttled", 0.6),),
    ),
    Signature(
        platform="render",
        status=(429,),
        is_bare=True,
        means="wake-ups are throttled, as far as shows",
        points=(("wake_throttled", 0.6),),
    ),
    # anybody
    Signature(
        words=(
            "maintenance mode",
            "under maintenance",
            "down for maintenance",
            "scheduled maintenance",
            "undergoing maintenance",
            "be right back",
        ),
        status=(503, 200),
        without=("{",),
        means="a maintenance page answered",
        points=(("maintenance_mode", 0.75),),
    ),
    Signature(
        words=(
            "domain is parked",
            "parking/lander",
            "parked domain",
            "domain parking",
            "godaddy parking",
            "buy this domain",
            "this domain is for sale",
            "domain is for sale",
            "parkingcrew",
            "sedoparking",
            "future home of something",
            "parked free",
            "default web page",
            "welcome to nginx!",
            "apache2 ubuntu default page",
            "apache2 debian default page",
            "domain has expired",
            "this domain name has been registered",
            'window.location.href="/lander"',
            "hugedomains",
            "site is under construction by namecheap",
        ),
        status=(200, 403, 404),
        means="a parking or default page answered, not the service",
        points=(("domain_misrouted", 0.88),),
    ),
    Signature(
        words=("no healthy upstream", "upstream connect error"),
        means="the proxy knows no instance that is well",
        points=(("instance_unreachable", 0.65),),
    ),
    Signature(
        status=(502, 504),
        is_bare=True,
        means="a proxy got no answer from the service",
        points=(("instance_unreachable", 0.55),),
    ),
    Signature(
        status=(503,), is_bare=True, means="a proxy found no instance to ask", points=(("instance_unreachable", 0.5),)
    ),
)
