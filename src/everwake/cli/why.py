"""`everwake why`: why a service is not up, with evidence."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from everwake.cli._options import Data, FleetFile

if TYPE_CHECKING:
    from everwake.app.why import Why
    from everwake.model import Diagnosis

__all__ = ["command"]

PASTE_BYTES = 64 * 1024 * 1024


def command(
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE|-", help="A service of the fleet, or - for pasted text on stdin.")
    ] = None,
    facts: Annotated[
        str | None, typer.Option("--facts", metavar="FILE|-", help="Facts somebody saved: one JSON document a line.")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Write the facts, masked.")] = None,
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Annotated[
        bool, typer.Option("--json", help="One JSON document on stdout; with --facts one a line, always.")
    ] = False,
) -> None:
    """Say why a service is not up: state, cause and how sure, evidence, what was ruled out, the next step.

    SERVICE is looked at: platform, deploy and log, variables, health, a session. With - it takes what you paste: curl -i
    output, a log, a .env, or a mix. Exit code 0 when nothing is wrong, 1 with a finding, 3 when its platform is out of reach.
    """
    if (service is None) == (facts is None):
        raise typer.BadParameter("name a service, give -, or give --facts FILE")
    if facts is not None:
        if save is not None:
            raise typer.BadParameter("--save keeps the facts of a service; those of --facts are saved already")
        _facts(facts)
    elif service == "-":
        _pasted(save, is_json=json)
    else:
        assert service is not None
        _service(service, fleet, data, save, is_json=json)


def _facts(path: str) -> None:
    """One line in, one line out, in order; a line that is no facts is told on stderr and the others go on."""
    import json
    import sys

    from everwake.app.why import why_document
    from everwake.cli._answer import escaped, note
    from everwake.diagnose.documents import document_of
    from everwake.errors import Misused

    wrong = found = 0
    source = sys.stdin.buffer if path == "-" else _opened(path)
    with source:
        for n, raw in enumerate(source, 1):
            if not raw.strip():
                continue
            try:
                document = json.loads(raw)
                diagnosis, known = why_document(document)
            except (ValueError, RecursionError):
                wrong += 1
                note(f"{path}:{n}: this line is no JSON document")
                continue
            except Misused as problem:
                wrong += 1
                note(f"{path}:{n}: {problem.message}" + (f" ({problem.hint})" if problem.hint else ""))
                continue
            found += _is_finding(diagnosis)
            sys.stdout.write(escaped(json.dumps({"id": known.id, **document_of(diagnosis)}, ensure_ascii=False)) + "\n")
    if wrong:
        raise typer.Exit(2)
    if found:
        raise typer.Exit(1)


def _opened(path: str) -> BinaryIO:
    from everwake.errors import Misused

    try:
        return Path(path).open("rb")
    except OSError as problem:
        raise Misused(f"{path} cannot be read: {problem.strerror}") from None


def _pasted(save: Path | None, *, is_json: bool) -> None:
    import sys

    from everwake.app.why import why_document
    from everwake.cli._answer import document, note
    from everwake.diagnose.documents import document_of, saved
    from everwake.diagnose.paste import parse
    from everwake.errors import Misused

    if sys.stdin.isatty():
        note("paste curl -i output, a log, a .env or a mix, then end it with Ctrl-D (Windows: Ctrl-Z and Enter)")
    text = sys.stdin.buffer.read(PASTE_BYTES).decode("utf-8", "replace").removeprefix("\ufeff")
    pasted = parse(text.replace("\r\n", "\n"))
    if not pasted.document:
        raise Misused("nothing was pasted", hint="everwake why - < error.log")
    note(f"recognised: {', '.join(pasted.recognised)}")
    diagnosis, facts = why_document(pasted.document)
    if save is not None:
        lines = pasted.document.get("log", ())
        _write(save, saved(facts, lines if isinstance(lines, list) else str(lines).splitlines()))
    if is_json:
        document({"recognised": list(pasted.recognised), **document_of(diagnosis)})
    else:
        _say_diagnosis(diagnosis, "it")
    if _is_finding(diagnosis):
        raise typer.Exit(1)


def _service(name: str, fleet: Path, data: Path, save: Path | None, *, is_json: bool) -> None:
    import asyncio
    import os

    from everwake.app.why import Asked, why_service
    from everwake.cli._answer import document
    from everwake.diagnose.documents import document_of

    why = asyncio.run(why_service(name, Asked(fleet=fleet, data=data, environ=os.environ)))
    if save is not None:
        _write(save, why.saved())
    if is_json:
        ticks = [{"name": tick.name, "ok": tick.ok, "said": tick.said} for tick in why.ticks]
        document({"id": why.service.name, "url": why.service.url, "ticks": ticks, **document_of(why.diagnosis)})
    else:
        _say(why)
    if _is_finding(why.diagnosis):
        raise typer.Exit(1)
    if why.out_of_reach:
        raise typer.Exit(3)


def _write(path: Path, content: dict[str, object]) -> None:
    import json

    from everwake.cli._answer import note
    from everwake.errors import Misused

    try:
        path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as problem:
        raise Misused(f"{path} cannot be written: {problem.strerror}") from None
    note(f"{path} holds the facts, masked; everwake why --facts {path} replays them")


def _is_finding(diagnosis: "Diagnosis") -> bool:
    """Whether anything is wrong: a cause that is a fault, or a variable that will not work."""
    from everwake.diagnose.causes import CAUSES

    faults = [one for one in diagnosis.causes if one.cause not in CAUSES or CAUSES[one.cause].is_fault]
    return bool(faults) or any(one.is_error for one in diagnosis.variables)


# --- words ----------------------------------------------------------------------------------------------------------------


def _say(why: "Why") -> None:
    from everwake.cli._answer import plain, say
    from everwake.cli._terminal import DIM, GREEN, RED

    _headline(why.diagnosis, why.service.name, _for(why))
    say("")
    width = max(8, *(len(tick.name) for tick in why.ticks))
    for tick in why.ticks:
        glyph, colour = {True: ("✓", GREEN), False: ("✕", RED), None: ("-", DIM)}[tick.ok]
        say(f"  {glyph} {tick.name:<{width}}  {plain(tick.said)}", colour)
    _values(why)
    _body(why.diagnosis, why.service.name)


def _for(why: "Why") -> str:
    from everwake.app.why import span
    from everwake.model import State

    return "" if why.since is None or why.diagnosis.state is State.UP else f" for {span(why.at - why.since)}"


def _say_diagnosis(diagnosis: "Diagnosis", name: str) -> None:
    _headline(diagnosis, name, "")
    _body(diagnosis, "")


def _headline(diagnosis: "Diagnosis", name: str, since: str) -> None:
    from everwake.cli._answer import colour_of, say
    from everwake.model import State

    glyph = {
        State.UP: "●",
        State.DEGRADED: "▲",
        State.WAKING: "◐",
        State.ASLEEP: "☾",
        State.DOWN: "✕",
        State.PAUSED: "❚❚",
        State.UNKNOWN: "?",
    }[diagnosis.state]
    first = diagnosis.causes[0] if diagnosis.causes else None
    stands = (
        "nothing else is known of it"
        if diagnosis.state is State.UNKNOWN and first is None
        else f"{name} is {diagnosis.state.value}{since}"
    )
    if diagnosis.state is State.UNKNOWN and first is not None:
        stands = f"how {name} stands is not known" if first.cause == "unknown" else f"{name} was not looked at"
    why = f" - {first.cause}, {first.sure * 100:.0f} % sure" if first is not None and first.cause != "unknown" else ""
    why = " - the evidence supports no cause" if first is not None and first.cause == "unknown" else why
    say(f"{glyph} {stands}{why}", colour_of(diagnosis.state))


def _values(why: "Why") -> None:
    """The variables that will not work: the value, with the offending text marked."""
    from everwake.cli._answer import plain, say
    from everwake.cli._terminal import RED

    for one in [each for each in why.diagnosis.variables if each.is_error][:5]:
        say("")
        say(f"  {plain(one.key)}" + (f", column {one.column}" if one.column else ""))
        excerpt = why.excerpts.get((one.key, one.problem))
        if excerpt is not None and excerpt.text:
            say(f"    {plain(excerpt.text)}")
            say(
                f"    {' ' * excerpt.start}{'^' * max(1, excerpt.end - excerpt.start)} {one.problem.replace('_', ' ')}",
                RED,
            )
        else:
            say(f"    {one.problem.replace('_', ' ')}")
        say(f"    fix: {plain(one.fix)}")


def _body(diagnosis: "Diagnosis", service: str) -> None:
    from everwake.cli._answer import plain, say
    from everwake.cli._commands import names
    from everwake.cli._terminal import DIM

    for n, cause in enumerate(diagnosis.causes[:3]):
        if n and cause.sure < diagnosis.causes[0].sure / 2:
            break  # --json has it
        shown = [one for one in cause.evidence if not (service and one.source.startswith("variables."))]
        if n or shown:
            say("")
        if n:
            say(f"  or {cause.cause}, {cause.sure * 100:.0f} % sure", DIM)
        width = max((len(one.source) for one in shown), default=0)
        for one in shown[: 5 if n == 0 else 2]:
            say(f"  {one.source:<{width}}  {plain(one.quote)[:200]}")
    if not service:
        for problem in diagnosis.variables[:10]:
            where = f", column {problem.column}" if problem.column else ""
            say(
                f"  {plain(problem.key)}{where}: {problem.problem.replace('_', ' ')}; {plain(problem.fix)}"
                + ("" if problem.is_error else " (advice)")
            )
    say("")
    if diagnosis.ruled_out:
        said = ", ".join(f"{one.cause} ({plain(one.why)})" for one in diagnosis.ruled_out[:5])
        say(f"  ruled out  {said}", DIM)
    first = diagnosis.causes[0] if diagnosis.causes else None
    if first is not None and first.next:
        can_fix = service and "fix" in names() and first.remedy not in (None, "ask-person")
        say(f"  next       {f'everwake fix {service}      ' if can_fix else ''}{plain(first.next)}")
    elif first is None:
        say("  next       nothing to do")
