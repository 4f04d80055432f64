"""Signatures of the hosts that run services, beside Render's header and the CDNs of `_signatures`. Data."""

from everwake.diagnose._signature import Signature

__all__ = ["HOSTS"]

HOSTS = (
    # Hugging Face
    Signature(
        platform="huggingface",
        words=("space is in error", "runtime error", "your space is in error"),
        means="the Space ended with an error",
        points=(("crashed_at_start", 0.65), ("platform_incident", 0.45)),
    ),
    Signature(
        platform="huggingface",
        words=("build error",),
        means="the Space could not be built",
        points=(("build_failed", 0.85),),
    ),
    Signature(
        platform="huggingface",
        words=("is sleeping", "due to inactivity", "space is asleep", "sleep mode", "space is sleeping"),
        means="the Space sleeps",
        points=(("asleep", 0.9),),
    ),
    Signature(
        platform="huggingface",
        words=("is paused", "has been paused", "paused by"),
        means="the Space was paused",
        points=(("suspended_by_owner", 0.88),),
    ),
    Signature(
        platform="huggingface",
        words=("preparing space", "is starting", "is building", "app starting", "restarting"),
        means="the Space is starting",
        points=(("waking", 0.6), ("deploy_in_progress", 0.58)),
    ),
    Signature(
        platform="huggingface",
        words=("no application file", "no_app_file", "configuration error", "missing configuration"),
        means="the Space has nothing to run",
        points=(("crashed_at_start", 0.75), ("no_live_deploy", 0.6)),
    ),
    Signature(
        platform="huggingface",
        status=(404, 401),
        words=("can't find the page", "repository not found", "space not found", "invalid username or password"),
        means="there is no such Space",
        points=(("no_such_service", 0.8),),
    ),
    # Heroku
    Signature(
        words=("no such app", "no-such-app.html", "there is no app configured at that hostname"),
        status=(404, 503),
        means="no app has this host",
        points=(("no_such_service", 0.93),),
    ),
    Signature(
        platform="heroku",
        words=("there's nothing here, yet", "nothing here, yet"),
        status=(404, 502),
        means="the app has no build yet",
        points=(("no_live_deploy", 0.6), ("no_such_service", 0.58)),
    ),
    Signature(
        words=("herokucdn.com/error-pages/maintenance",),
        means="maintenance mode is on",
        points=(("maintenance_mode", 0.93),),
    ),
    Signature(
        platform="heroku",
        status=(503,),
        words=("offline for maintenance",),
        means="maintenance mode is on",
        points=(("maintenance_mode", 0.93),),
    ),
    Signature(
        words=(
            "herokucdn.com/error-pages/application-error",
            "an error occurred in the application and your page could not be served",
        ),
        status=(503,),
        means="the router got no answer (its log has the code)",
        points=(("crashed_at_start", 0.6), ("instance_unreachable", 0.5)),
    ),
    Signature(
        platform="heroku",
        status=(503,),
        words=("application error",),
        means="the router got no answer (its log has the code)",
        points=(("crashed_at_start", 0.6), ("instance_unreachable", 0.5)),
    ),
    Signature(
        platform="heroku",
        status=(503, 502, 504),
        is_bare=True,
        means="the router got no answer",
        points=(("instance_unreachable", 0.5), ("crashed_at_start", 0.48)),
    ),
    # Railway
    Signature(
        header=("x-railway-fallback", "true"),
        status=(404,),
        means="nothing is bound to the host: deleted, mistyped, paused or asleep",
        points=(("no_such_service", 0.6), ("suspended_by_owner", 0.45), ("asleep", 0.35)),
    ),
    Signature(
        words=("application not found", "train has not arrived at the station"),
        status=(404,),
        means="nothing is bound to the host: deleted, mistyped, paused or asleep",
        points=(("no_such_service", 0.6), ("suspended_by_owner", 0.45), ("asleep", 0.35)),
    ),
    Signature(
        words=("application failed to respond",),
        means="the edge got no answer from the instance",
        points=(("instance_unreachable", 0.7), ("wrong_port", 0.6)),
    ),
    Signature(
        header=("x-railway-fallback", "true"),
        status=(500, 502, 503, 504),
        means="the edge got no answer from the instance",
        points=(("instance_unreachable", 0.7), ("wrong_port", 0.6)),
    ),
    Signature(
        platform="railway",
        status=(502,),
        is_bare=True,
        means="what a serverless service gives to its first request after sleep",
        points=(("waking", 0.5), ("instance_unreachable", 0.48)),
    ),
    # Fly: its proxy's codes, then what it says without one
    Signature(
        platform="fly",
        words=("pc01", "instance refused connection"),
        means="nothing listens where the proxy looks",
        points=(("wrong_port", 0.65), ("crashed_at_start", 0.45)),
    ),
    Signature(
        platform="fly",
        words=("pc0", "pu0", "pr0"),
        status=(502, 503, 504),
        means="the proxy got no answer from a machine",
        points=(("instance_unreachable", 0.7),),
    ),
    Signature(
        platform="fly",
        words=("pm0", "pa0", "pp0", "pt0"),
        status=(500, 502, 503, 504),
        means="the platform could not start a machine",
        points=(("platform_incident", 0.55), ("instance_unreachable", 0.5)),
    ),
    Signature(
        platform="fly",
        status=(404,),
        words=("no such app", "app not found"),
        means="no app has this host",
        points=(("no_such_service", 0.8),),
    ),
    Signature(
        platform="fly",
        status=(502, 503, 504),
        is_bare=True,
        means="no machine of the app answers",
        points=(("instance_unreachable", 0.6), ("deploy_in_progress", 0.35)),
    ),
    # Koyeb
    Signature(
        words=("no active service",),
        status=(404, 503),
        means="no service is active under this host",
        points=(("no_live_deploy", 0.65), ("no_such_service", 0.5)),
    ),
    Signature(
        platform="koyeb",
        status=(404,),
        is_bare=True,
        means="no service is active under this host",
        points=(("no_live_deploy", 0.6), ("no_such_service", 0.5)),
    ),
    Signature(
        platform="koyeb",
        words=("provisioning", "is starting", "deep sleep", "waking"),
        status=(404, 502, 503),
        means="it is starting",
        points=(("waking", 0.6), ("deploy_in_progress", 0.55)),
    ),
    # Netlify, GitHub Pages, Cloud Run
    Signature(
        platform="netlify",
        words=("not found - request id",),
        status=(404,),
        means="no site has this host",
        points=(("no_such_service", 0.8), ("domain_misrouted", 0.4)),
    ),
    Signature(
        platform="netlify",
        words=("page not found", "broken link"),
        status=(404,),
        means="the site lacks the file",
        points=(("static_assets_missing", 0.8),),
    ),
    Signature(
        platform="netlify",
        words=("this function has crashed", "error - "),
        status=(502,),
        means="a function ended with an error",
        points=(("crashed_at_start", 0.6), ("app_error", 0.58)),
    ),
    Signature(
        words=("there isn't a github pages site here",),
        means="no site has this host",
        points=(("no_such_service", 0.75), ("domain_misrouted", 0.7)),
    ),
    Signature(
        words=("service you requested is not available yet",),
        means="no revision is ready",
        points=(("crashed_at_start", 0.6), ("no_live_deploy", 0.55), ("wrong_port", 0.5)),
    ),
    Signature(
        platform="cloud_run",
        words=("does not have permission to get url", "your client does not have permission"),
        status=(403,),
        means="the service asks callers to sign in",
        points=(("edge_blocked", 0.8),),
    ),
    Signature(
        platform="cloud_run",
        words=("rate exceeded",),
        status=(429,),
        means="no instance was free",
        points=(("instance_unreachable", 0.6),),
    ),
    Signature(
        platform="cloud_run",
        words=("requested url was not found on this server",),
        status=(404,),
        means="no service has this host",
        points=(("no_such_service", 0.75),),
    ),
    Signature(
        platform="cloud_run",
        words=(
            "server encountered an error and could not complete",
            "upstream connect error",
            "service unavailable",
            "disconnect/reset before headers",
        ),
        status=(500, 502, 503, 504),
        means="the instance gave no answer",
        points=(("instance_unreachable", 0.65), ("crashed_at_start", 0.5)),
    ),
)
