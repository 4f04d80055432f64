"""The doctor's errands: read what is to be examined, say what is known besides, write back what was mended.

Files, standard input and deployed services end up as the same `Looked`. Nothing here decides what is wrong, and what only a
deployed service or a fleet file needs is imported when one is asked for: `everwake doctor .env` must answer at once.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everwake.doctor.context import Context
from everwake.doctor.declared import Declared, NotASchema, read, read_list
from everwake.doctor.examination import Finding, Study
from everwake.doctor.examination import study as study_variables
from everwake.doctor.variables.readers import Difference, differences
from everwake.errors import Misused

if TYPE_CHECKING:
    from everwake.fleet.schema import Fleet, Service
    from everwake.ports import Platform

__all__ = [
    "Asked",
    "Looked",
    "declared_of",
    "examine_deployed",
    "examine_source",
    "in_variables_of",
    "keep_and_write",
    "look_at_service",
    "names_of",
    "usual_files",
]

LARGEST_BYTES = 4_194_304
GIT_S = 2.0
_SAMPLES = (".example", ".sample", ".template", ".dist", ".defaults", ".tmpl")
# What a template is made of.
_FINE_IN_A_SAMPLE = frozenset(
    {
        "placeholder",
        "default_secret",
        "empty_value",
        "angle_brackets_left",
        "secret_in_repository",
        "debug_in_production",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the person said on the command line."""

    reader: str = ""
    environment: str = ""
    platform: str = ""
    service: str = ""
    schema: str = ""
    fleet: Path = Path("everwake.toml")
    data: Path = Path(".everwake")
    fix: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One thing that was examined. name: as it was given.   findings: what is wrong now (after mending, where that was asked).

    fixed: what was mended.   before, after: texts, of a file that was mended.   values: new ones, of a deployed service.
    """

    name: str
    findings: tuple[Finding, ...]
    fixed: tuple[Finding, ...] = ()
    differences: tuple[Difference, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    before: str = field(default="", repr=False)
    after: str = field(default="", repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    kind: str = "variables"

    @property
    def errors(self) -> int:
        """How many findings mean that it will not work."""
        return sum(finding.problem.is_error for finding in self.findings)


def usual_files() -> list[str]:
    """What there is to examine in this folder when nothing was named."""
    return [name for name in (".env", "render.yaml", "render.yml") if Path(name).is_file()]


def examine_source(name: str, asked: Asked) -> Looked:
    """A file, or `-` for standard input. Raises Misused."""
    text = _read(name)
    is_file = name != "-"
    context = _context(asked)
    if Path(name).suffix in (".yaml", ".yml") or (not is_file and _blueprint_module().looks_like_one(text)):
        blueprint = _blueprint_module()
        if other := blueprint.what_else(text):
            raise Misused(f"{name} is no render.yaml but {other}", hint="name a .env file or a render.yaml")

        def study(now: str) -> Study:
            found: Study = blueprint.study(now, context)
            return found

        kind = "blueprint"
    else:
        context = replace(context, is_public=is_file and _is_tracked(Path(name)))

        def study(now: str) -> Study:
            return study_variables(now, context)

        kind = "variables"
    is_sample = any(part in name for part in _SAMPLES)
    shown = _for_a_sample(study) if is_sample else study
    if not asked.fix:
        found = shown(text)
        apart = differences(text) if kind == "variables" and not asked.reader else ()
        return Looked(name=name, findings=found.findings, differences=apart, secrets=found.secrets, kind=kind)
    from everwake.doctor.fix import mend

    mended = mend(text, shown)
    return Looked(
        name=name, findings=mended.study.findings, fixed=mended.fixed,
        secrets=tuple(dict.fromkeys((*shown(text).secrets, *mended.study.secrets))), before=text,
        after=mended.text, kind=kind,
    )  # fmt: skip


def _for_a_sample(study: Callable[[str], Study]) -> Callable[[str], Study]:
    def fewer(text: str) -> Study:
        found = study(text)
        return replace(
            found, findings=tuple(one for one in found.findings if one.problem.problem not in _FINE_IN_A_SAMPLE)
        )

    return fewer


def _blueprint_module() -> Any:
    try:
        from everwake.doctor import blueprint
    except ModuleNotFoundError:
        from everwake.errors import MissingExtra

        raise MissingExtra("reading render.yaml", "yaml") from None
    return blueprint


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read(LARGEST_BYTES + 1) if name == "-" else _bytes_of(Path(name))
    except OSError as error:
        raise Misused(
            f"{name} cannot be read: {error.strerror}", hint="name a .env file, a render.yaml, or - for standard input"
        ) from None
    if len(raw) > LARGEST_BYTES:
        raise Misused(f"{name} is larger than {LARGEST_BYTES // 2**20} MiB")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Misused(f"{name} is UTF-16", hint="save it as UTF-8 (PowerShell: Out-File -Encoding utf8)")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Misused(f"{name}:{line}: is not UTF-8", hint="save it as UTF-8") from None


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES + 1)


def _is_tracked(path: Path) -> bool:
    """Whether git keeps this file; False where there is no git."""
    folder = path.resolve().parent
    if not any((each / ".git").exists() for each in (folder, *folder.parents)):
        return False
    import subprocess

    try:
        told = subprocess.run(  # noqa: S603 - a fixed list, the name behind --
            ["git", "ls-files", "--error-unmatch", "--", path.name],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            timeout=GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.returncode == 0


# --- what is known besides ------------------------------------------------------------------------------------------------


def _context(asked: Asked) -> Context:
    """What the command line and the fleet file say."""
    said = Context.of({"reader": asked.reader, "environment": asked.environment, "platform": asked.platform})
    if asked.schema:
        said = replace(said, declared=_shipped(asked.schema, Path()))
    if asked.service:
        fleet = _fleet(asked.fleet)
        return (
            in_variables_of(asked.service, fleet, said) if fleet is not None else replace(said, service=asked.service)
        )
    return replace(said, siblings=_hosts(asked.fleet))


def _hosts(path: Path) -> dict[str, str]:
    """Name -> URL of the services of a fleet file, without judging it: that is `everwake check --config`."""
    if not path.is_file():
        return {}
    import tomllib

    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("service", [])
    except (OSError, ValueError, RecursionError):
        return {}
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return {str(row["name"]): row["url"] for row in rows if isinstance(row.get("url"), str) and "name" in row}


def _fleet(path: Path) -> "Fleet | None":
    if not path.is_file():
        return None
    from everwake.checks import specs
    from everwake.fleet.load import load

    return load(path, os.environ, specs())


def in_variables_of(name: str, fleet: "Fleet", said: Context) -> Context:
    """What the fleet file says about the variables of one of its services. Raises Misused where it has none of that name."""
    service = next((one for one in fleet.services if one.name == name), None)
    if service is None:
        from everwake.fleet.naming import near

        raise Misused(f"{fleet.path} has no service {name[:40]}", hint=near(name, (one.name for one in fleet.services)))
    return replace(
        said, service=name, url=service.url, siblings={one.name: one.url for one in fleet.services if one.name != name},
        platform=said.platform or Context.of({"platform": service.platform or ""}).platform,
        declared={**declared_of(service, Path(fleet.path).parent), **said.declared},
    )  # fmt: skip


def declared_of(service: "Service", folder: Path = Path()) -> dict[str, Declared]:
    """What `[service.variables]` declares; `from` names a table to begin with. Raises Misused."""
    table = dict(service.variables)
    source = table.pop("from", None)
    try:
        return {**(_shipped(str(source), folder) if source is not None else {}), **read(table)}
    except NotASchema as wrong:
        raise Misused(f"service {service.name}: variables.{wrong}", hint=wrong.hint) from None


def _shipped(name: str, folder: Path) -> dict[str, Declared]:
    """`chatify.chatbot`: a table shipped here; `file.json` or `file.json#part`: one of the user's own. Raises Misused."""
    if ".json" in name:
        file, _, part = name.partition("#")
        path = folder / file
    else:
        file, _, part = name.partition(".")
        path = Path(__file__).parent.parent / "doctor" / "schemas" / f"{Path(file).name}.json"
    try:
        found = json.loads(path.read_bytes())
        found = found[part.replace("_", "-")] if part else found
        return read_list(found) if isinstance(found, list) else read(found)
    except NotASchema as wrong:
        raise Misused(f"{name}: {wrong}", hint=wrong.hint) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known = sorted(
            f"{each.stem}.{part}"
            for each in (Path(__file__).parent.parent / "doctor" / "schemas").glob("*.json")
            for part in json.loads(each.read_bytes())
        )
        raise Misused(
            f"there is no table of variables {name[:60]}", hint=f"known are {', '.join(known)}; or name a JSON file"
        ) from None


# --- deployed services ----------------------------------------------------------------------------------------------------


async def examine_deployed(
    platform: "Platform", id: str, context: Context, *, fix: bool = False, write: bool = True
) -> Looked:
    """The variables of a deployed service; with `fix` those with one safe answer are written, and deployed by nobody.

    Raises: OutOfReach, Finding: as the platform does.
    """
    before = dict(await platform.variables(id))
    context = replace(context, platform=context.platform or Context.of({"platform": platform.name}).platform)
    study = study_variables(before, context)
    if not fix:
        return Looked(name=context.service or id, findings=study.findings, secrets=study.secrets)
    from everwake.doctor.fix import mend_values

    now, new, fixed = study, dict[str, str](), list[Finding]()
    for _ in range(4):  # what quotes had hidden is found in the next look
        step = mend_values(now)
        if not step:
            break
        fixed += [one for one in now.findings if one.name in step and one.value_edits]
        new |= step
        now = study_variables({**before, **new}, context)
    if new and write:
        await platform.set_variables(id, new)
    return Looked(
        name=context.service or id, findings=now.findings, fixed=tuple(fixed), secrets=(*study.secrets, *now.secrets), values=new,
        kind="deployed",
    )  # fmt: skip


async def look_at_service(asked: Asked, *, write: bool) -> Looked:
    """The service that `--service` names, wherever it runs. Raises Misused, OutOfReach, Finding, BadFleet."""
    from everwake.app.platform import reach

    said = Context.of({"reader": asked.reader, "environment": asked.environment, "platform": asked.platform})
    if asked.schema:
        said = replace(said, declared=_shipped(asked.schema, Path()))
    async with reach(asked.fleet, asked.data, os.environ, asked.service) as reached:
        found = await reached.find(asked.service)
        if reached.fleet is not None and any(one.name == asked.service for one in reached.fleet.services):
            said = in_variables_of(asked.service, reached.fleet, said)
        else:
            others = {one.name: one.url for one in await reached.platform.services() if one.id != found.id and one.url}
            said = replace(said, service=asked.service, url=found.url, siblings=others)
        return await examine_deployed(reached.platform, found.id, said, fix=asked.fix, write=write)


# --- writing back ---------------------------------------------------------------------------------------------------------


def keep_and_write(looked: Looked, data: Path) -> Path:
    """Write a mended file and keep what it was: where the backup lies. Raises Misused.

    The backup lies under the data folder, readable by its owner only and out of git's sight: it holds the same secrets.
    """
    path = Path(looked.name)
    try:
        if _read(looked.name) != looked.before:
            raise Misused(f"{path} was changed meanwhile", hint="run it again")
        folder = data / "backups"
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        backup = _first_free(folder, path.name)
        _write_whole(backup, looked.before, 0o600)
        beside = path.with_name(f"{path.name}.{os.getpid()}.new")
        _write_whole(beside, looked.after, path.stat().st_mode & 0o777)
        beside.replace(path)
    except OSError as error:
        raise Misused(f"{path} cannot be mended: {error.strerror}") from None
    return backup


def _first_free(folder: Path, name: str) -> Path:
    return next(folder / f"{name}.{n}" for n in range(1, 100_000) if not (folder / f"{name}.{n}").exists())


def _write_whole(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("utf-8"))


def names_of(sources: Sequence[str]) -> list[str]:
    """The sources without repetition, in their order."""
    return list(dict.fromkeys(sources))
