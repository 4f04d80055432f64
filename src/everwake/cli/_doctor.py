"""`everwake doctor` without its declaration: the arguments read by hand, and what is printed.

A gate in CI and a hook before a commit must be instant, and Typer alone takes longer than the doctor. So a plain call is read
here; whatever this reading does not know (`--help`, a wrong option) is left to Typer, which explains it.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from everwake.app.doctoring import Asked, Looked, examine_source, keep_and_write, names_of, usual_files
from everwake.errors import Misused

__all__ = ["FORMATS", "quick", "run"]

FORMATS = ("text", "json", "sarif")
_WITH_VALUE = {
    "--service": "service", "--format": "format", "--reader": "reader", "--environment": "environment", "--platform": "platform",
    "--schema": "schema", "--fleet": "fleet", "--data": "data",
}  # fmt: skip
_SWITCHES = {"--fix": "fix", "--plan": "plan", "--json": "json"}


def quick(arguments: Sequence[str]) -> int | None:
    """Run the command with these arguments; its exit code, or None where Typer is to read them."""
    read: dict[str, Any] = {}
    files: list[str] = []
    waiting = iter(arguments)
    for word in waiting:
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            read[_SWITCHES[word]] = True
        elif name in _WITH_VALUE:
            given = value if equals else next(waiting, None)
            if given is None:
                return None
            read[_WITH_VALUE[name]] = given
        elif word == "-" or not word.startswith("-"):
            files.append(word)
        else:
            return None
    if read.get("format", "text") not in FORMATS:
        return None
    if "fleet" not in read and (Path(read.get("data", ".everwake")) / "everwake.toml").exists():
        from everwake.app.fleet_found import fleet_meant

        data = Path(read.get("data", ".everwake"))
        read["fleet"] = str(fleet_meant(Path("everwake.toml"), data, data_is_named="data" in read))
    try:
        code = run(files, **read)
        sys.stdout.flush()
    except BrokenPipeError:  # `everwake doctor | head`: whoever read has seen enough
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # or Python would complain once more when it ends
        return 1
    return code


def run(
    files: Sequence[str],
    *,
    service: str = "",
    fix: bool = False,
    plan: bool = False,
    format: str = "text",
    json: bool = False,
    reader: str = "",
    environment: str = "",
    platform: str = "",
    schema: str = "",
    fleet: str = "everwake.toml",
    data: str = ".everwake",
) -> int:
    """Examine, mend where asked, print. Exit code 1 when an error is left. Raises EverwakeError."""
    asked = Asked(
        reader=reader, environment=environment, platform=platform, service=service, schema=schema, fleet=Path(fleet),
        data=Path(data),
        fix=fix or plan,
    )  # fmt: skip
    if reader:
        _known_reader(reader)
    sources = names_of(files) or ([] if service else usual_files())
    if asked.fix and "-" in sources:
        raise Misused("what comes from standard input cannot be mended in place", hint="name the file")
    if not sources and not service:
        raise Misused(
            "there is neither .env nor render.yaml here", hint="name a file, - for standard input, or --service NAME"
        )
    looked = [examine_source(source, asked) for source in sources] or [_deployed(asked, write=not plan)]
    shape = "json" if json else format
    if shape == "text":
        for one in looked:
            _print_difference(one)
    kept = [(one, None if plan or one.before == one.after else keep_and_write(one, asked.data)) for one in looked]
    if shape == "json":
        _print_json(kept)
    elif shape == "sarif":
        _print_sarif(looked)
    else:
        _print_text(kept, is_plan=plan)
    return 1 if any(one.errors for one in looked) else 0


def _known_reader(reader: str) -> None:
    from everwake.doctor.variables.dialects import DIALECTS, dialect_of

    if dialect_of(reader) is None:
        raise Misused(f"no reader is called {reader[:40]}", hint=f"known are {', '.join(sorted(DIALECTS))}")


def _deployed(asked: Asked, *, write: bool) -> Looked:
    import asyncio

    from everwake.app.doctoring import look_at_service

    return asyncio.run(look_at_service(asked, write=write))


# --- printing -------------------------------------------------------------------------------------------------------------

_COLOURS = {"error": "\x1b[31m", "advice": "\x1b[33m", "mark": "\x1b[31m", "dim": "\x1b[2m", "good": "\x1b[32m"}


def _say(text: str, tone: str = "plain") -> None:
    colour = _COLOURS.get(tone)
    if colour is not None and sys.stdout.isatty():
        from everwake.cli._terminal import Terminal

        text = Terminal.dyed(colour, text, sys.stdout)
    print(text)


def _print_difference(looked: Looked) -> None:
    """What is about to change, before it is changed."""
    if looked.before == looked.after:
        return
    from everwake.doctor.telling import difference_lines

    for line in difference_lines(looked.before, looked.after, looked.secrets, is_variables=looked.kind == "variables"):
        _say(line, "error" if line[0] == "-" else "good")


def _print_text(kept: "list[tuple[Looked, Path | None]]", *, is_plan: bool) -> None:
    from everwake.doctor.telling import lines, reader_lines

    for looked, backup in kept:
        if looked.fixed:
            _print_mended(looked, backup, is_plan=is_plan)
        source = "standard input" if looked.name == "-" else looked.name
        for tone, line in lines(source, looked.findings):
            _say(line, tone)
        advice = len(looked.findings) - looked.errors
        mendable = sum(1 for one in looked.findings if one.value_edits or one.text_edits)
        if not looked.findings:
            _say(f"{source}: nothing is wrong", "good")
        else:
            hint = f"; --fix mends {mendable}" if mendable and not looked.fixed and looked.name != "-" else ""
            _say(
                f"{source}: {_count(looked.errors, 'error')}, {advice} of advice{hint}",
                "error" if looked.errors else "advice",
            )
        if looked.differences:
            _say("read otherwise by some (say which with --reader):", "dim")
            for line in list(reader_lines(looked.differences))[:20]:
                _say(f"    {line}", "dim")


def _print_mended(looked: Looked, backup: Path | None, *, is_plan: bool) -> None:
    if looked.kind == "deployed":
        told = "would be written; nothing was" if is_plan else "written; deploy it to make that count"
        for name in looked.values:
            _say(
                f"~ {name}: {', '.join(sorted({one.problem.problem for one in looked.fixed if one.name == name}))}",
                "good",
            )
        _say(
            f"{looked.name}: {_count(len(looked.values), 'variable')} {told}",
            "good",
        )
        return
    told = "would be mended; nothing was written" if is_plan else f"mended; what it was is kept in {backup}"
    _say(f"{looked.name}: {_count(len(looked.fixed), 'finding')} {told}", "good")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _print_json(kept: "list[tuple[Looked, Path | None]]") -> None:
    import json

    from everwake.doctor.telling import as_data

    found = [row for looked, _ in kept for row in as_data(looked.name, looked.findings)]
    document = {
        "ok": not any(looked.errors for looked, _ in kept),
        "errors": sum(looked.errors for looked, _ in kept),
        "advice": sum(len(looked.findings) - looked.errors for looked, _ in kept),
        "variables": found,
        "fixed": [row for looked, _ in kept for row in as_data(looked.name, looked.fixed)],
        "backups": [str(backup) for _, backup in kept if backup is not None],
        "readers": [
            {"file": looked.name, "key": one.key, "line": one.line, "gets": one.gets}
            for looked, _ in kept
            for one in looked.differences
        ],
    }
    print(json.dumps(document, indent=1, ensure_ascii=False))


def _print_sarif(looked: "list[Looked]") -> None:
    import json
    from importlib.metadata import version

    from everwake.doctor.sarif import document

    print(
        json.dumps(
            document([(one.name, one.findings) for one in looked], version("everwake")), indent=1, ensure_ascii=False
        )
    )
