"""A static site is up, and its publish folder lacks the file."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.rule import Finding, Rule, by_edge

__all__ = ["RULE", "explain"]

NEXT = "Compare the publish folder with what the build writes, and add the rewrite of a single-page app."


def explain(facts: Facts) -> Finding | None:
    """Only the edge of a static site can say it."""
    return by_edge(facts, "static_assets_missing", NEXT, "ask-person")


RULE = Rule(
    cause="static_assets_missing",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"no_live_deploy", "no_such_service", "healthy"}),
    examples=(
        {
            "http": {
                "url": "https://a.onrender.com/app",
                "status": 404,
                "headers": {"x-render-routing": "static-no-asset"},
            }
        },
        {
            "http": {
                "url": "https://a.netlify.app/app",
                "status": 404,
                "headers": {"server": "Netlify"},
                "body": "Page not found. Looks like you've followed a broken link",
            }
        },
    ),
    counter_examples=(
        {"http": {"url": "https://a.onrender.com/app", "status": 404, "headers": {"x-render-routing": "no-server"}}},
    ),
)
