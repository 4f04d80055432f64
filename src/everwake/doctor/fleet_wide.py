"""A whole fleet at once: every service's variables held against the hosts that exist. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from everwake.doctor.context import Context
from everwake.doctor.examination import Study, study

__all__ = ["study_fleet"]


def study_fleet(
    variables: Mapping[str, Mapping[str, str]], urls: Mapping[str, str], contexts: Mapping[str, Context] | None = None
) -> dict[str, Study]:
    """Service -> what is wrong with its variables. urls: of every service there is, with or without variables to look at."""
    found = {}
    for name, values in variables.items():
        context = (contexts or {}).get(name, Context())
        siblings = {other: url for other, url in urls.items() if other != name}
        found[name] = study(
            values, replace(context, service=name, url=urls.get(name, ""), siblings={**context.siblings, **siblings})
        )
    return found
