"""`everwake verify`: the seven criteria, one by one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everwake.cli._options import Data, FleetFile, Json

if TYPE_CHECKING:
    from everwake.app.verifying import Verified

__all__ = ["command"]


def command(
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE", help="A service of the fleet; all of them when left out.")
    ] = None,
    soak: Annotated[
        str, typer.Option(metavar="TIME", help="How long each has to stay up; what the keeper knows counts too.")
    ] = "15m",
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the criteria as JUnit XML too.")
    ] = None,
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Prove that a service, or the whole fleet, is alive: health, keeper, heartbeat, sessions, messages, 15 minutes, log.

    Looks for as long as the soak takes, or until something is not met. Each session and message is a real one: a chat with a paid
    provider bills for three. Exit code 1 when a criterion is not met or could not be shown, 3 when that is because the keeper or
    the platform did not answer.
    """
    import asyncio
    import os

    from everwake.app.verifying import Asked, verify
    from everwake.cli._answer import document
    from everwake.cli._bars import Bars

    soak_s = _seconds(soak)
    asked = Asked(service=service, soak_s=soak_s, fleet=fleet, data=data, environ=os.environ)
    with Bars() as bars:
        verified = asyncio.run(verify(asked, bars.told))
    if junit is not None:
        _write(junit, verified)
    if json:
        document(_document(verified, soak_s))
    else:
        _tell(verified)
    if all(one.is_proved for one in verified):
        return
    is_refuted = any(criterion.met is False for one in verified for criterion in one.criteria)
    raise typer.Exit(3 if not is_refuted and any(one.out_of_reach for one in verified) else 1)


def _seconds(text: str) -> float:
    """`15m`, `30s`, `1h` or seconds."""
    import re

    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|h)?", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text[:40]!r} is not a time: write 90s, 15m or 1h", param_hint="--soak")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[found[2]]


def _tell(verified: "tuple[Verified, ...]") -> None:
    from everwake.cli._answer import plain, say
    from everwake.cli._terminal import DIM, GREEN, RED, YELLOW

    for one in verified:
        count = sum(criterion.met is True for criterion in one.criteria)
        glyph, colour = ("✓", GREEN) if one.is_proved else ("✕", RED)
        said = "is alive" if one.is_proved else "is not shown to be alive"
        say(f"{glyph} {one.service} {said}: {count} of {len(one.criteria)} criteria met", colour)
        width = max(len(title) for title in one.titles.values())
        for criterion in one.criteria:
            mark, colour = {True: ("✓", GREEN), False: ("✕", RED), None: ("?", YELLOW)}[criterion.met]
            say(f"  {mark} {one.titles[criterion.name]:<{width}}  {plain(criterion.said)}", colour)
        for name, why in one.lacking.items():
            say(f"  - {one.titles[name]:<{width}}  {why}", DIM)


def _document(verified: "tuple[Verified, ...]", soak_s: float) -> dict[str, object]:
    return {
        "proved": all(one.is_proved for one in verified),
        "soak_s": soak_s,
        "services": [
            {
                "name": one.service,
                "proved": one.is_proved,
                "at": one.at.isoformat().replace("+00:00", "Z"),
                "took_s": round(one.took_s, 1),
                "criteria": [
                    {"name": each.name, "title": one.titles[each.name], "met": each.met, "said": each.said}
                    for each in one.criteria
                ],
                "lacking": dict(one.lacking),
                "out_of_reach": list(one.out_of_reach),
            }
            for one in verified
        ],
    }


def _write(file: Path, verified: "tuple[Verified, ...]") -> None:
    from everwake.errors import Misused
    from everwake.verify.junit import Suite, junit

    suites = [
        Suite(
            service=one.service, at=one.at, took_s=one.took_s, criteria=one.criteria, titles=one.titles, lacking=one.lacking
        )
        for one in verified
    ]  # fmt: skip
    try:
        file.write_text(junit(suites), encoding="utf-8")
    except OSError as error:
        raise Misused(f"{file} cannot be written: {error.strerror}") from None
