"""What the runtime reads: versions, heap, search path, debug switches, files that must be there."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.context import HOSTED, environment_of
from everwake.doctor.kinds import Kind, words_of

__all__ = ["RULE"]

_TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})
# The last release of each line that has ended (devguide.python.org/versions, read 2026-11); running lines go on.
_LAST_PATCH = {7: 17, 8: 20, 9: 25}
_NEWEST_MINOR = 14
_FULL_OF_MEMORY = 0.95


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """One question each."""
    if variable.kind is Kind.PYTHON_VERSION:
        yield from _python(variable, case)
    elif variable.kind in (Kind.BOOLEAN, Kind.ENVIRONMENT):
        yield from _debug(variable, case)
    elif variable.key.upper() == "PATH":
        yield from _path(variable)
    elif words_of(variable.key)[-1:] in (("OPTIONS",), ("OPTS",), ("ARGS",)) or variable.key in (
        "GOMEMLIMIT",
        "JAVA_TOOL_OPTIONS",
    ):
        yield from _heap(variable, case)
    elif variable.kind in (Kind.PATH, Kind.SERVICE_ACCOUNT):
        yield from _file(variable, case)


def _python(variable: Variable, case: Case) -> Iterator[Hit]:
    value = variable.value.strip()
    if not value or not (case.context.runs_on == "render" or variable.declared is not None):
        return
    found = re.fullmatch(
        r"(?:python-?|v)?(\d{1,2})(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?(?:(?:a|b|rc)\d{1,2})?(\.x|\.\*)?",
        value,
        re.IGNORECASE,
    )
    if found is None:
        yield Hit(
            problem="bad_type", fix="write a full version, such as 3.11.9", end=len(variable.value), is_error=True
        )
        return
    if not value[0].isdigit():
        yield Hit(
            problem="bad_type",
            fix="write the numbers alone, such as 3.11.9",
            at=0,
            end=found.start(1),
            edits=((0, found.start(1), ""),),
            is_error=True,
        )
        return
    major, minor, patch = int(found[1]), int(found[2] or -1), found[3]
    if patch is None:
        line = f"{major}.{max(minor, 11)}" if minor < 7 else f"{major}.{minor}"
        yield Hit(
            problem="python_version_no_patch",
            fix=f"give all three parts, such as {line}.{9 if line == '3.11' else 10}",
            end=len(variable.value),
            is_error=True,
        )
    elif (
        major != 3
        or not 7 <= minor <= _NEWEST_MINOR + 1
        or int(patch) > _LAST_PATCH.get(minor, 40)
        or (minor == 7 and int(patch) < 3)
    ):
        yield Hit(
            problem="version_not_offered",
            fix="choose a release that is offered: 3.7.3 or newer (docs.python.org/3/whatsnew)",
            end=len(variable.value),
        )


def _debug(variable: Variable, case: Case) -> Iterator[Hit]:
    value = variable.value.strip().lower()
    if not case.is_production:
        return
    if variable.kind is Kind.ENVIRONMENT:
        if (
            variable.key != "ENVIRONMENT"
            and environment_of(value) == "development"
            and case.context.environment == "production"
        ):
            yield Hit(problem="debug_in_production", fix="write production", end=len(variable.value))
    elif words_of(variable.key)[-1:] == ("DEBUG",) and value in _TRUE:
        yield Hit(
            problem="debug_in_production",
            fix="write false: it slows the service and may show its insides to strangers",
            end=len(variable.value),
        )


def _path(variable: Variable) -> Iterator[Hit]:
    parts = re.split(r"[:;]", variable.value)
    if (
        variable.value.strip()
        and not {"/usr/bin", "/bin"} & {part.rstrip("/") for part in parts}
        and not re.search(r"\$\{?PATH|%PATH%|:\\", variable.value, re.IGNORECASE)
    ):
        yield Hit(
            problem="path_overridden",
            fix="remove it, or keep the rest: PATH=/your/bin:/usr/local/bin:/usr/bin:/bin",
            end=len(variable.value),
            found="without /usr/bin",
        )
    elif (
        re.search(r"\$\{?PATH|%PATH%", variable.value)
        and variable.entry is None
        and not {"/usr/bin", "/bin"} & {part.rstrip("/") for part in parts}
    ):
        yield Hit(
            problem="path_overridden",
            fix="write the whole path: nothing replaces $PATH here",
            end=len(variable.value),
            found="$PATH",
        )


def _heap(variable: Variable, case: Case) -> Iterator[Hit]:
    memory = case.context.memory_mb
    if memory is None:
        return
    if variable.key == "GOMEMLIMIT":
        found = re.match(r"()(\d{1,7})\s*([KMG])i?B", variable.value)
    else:
        found = re.search(r"(--max[-_]old[-_]space[-_]size[= ]|-Xmx)(\d{1,10})([kKmMgG]?)", variable.value)
    if found is None:
        return
    unit = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "": 1.0 if found[1].startswith("--") else 1 / 1_048_576}[
        found[3].lower()
    ]
    heap_mb = int(found[2]) * unit
    if heap_mb > memory * _FULL_OF_MEMORY:
        good = int(memory * 0.75)
        yield Hit(
            problem="heap_over_memory",
            fix=f"stay below the instance's {memory} MB: {good} leaves room for the rest",
            at=found.start(2),
            end=found.end(3),
            found=found[2] + found[3],
        )


def _file(variable: Variable, case: Case) -> Iterator[Hit]:
    """A file of credentials that the instance does not have."""
    words = set(words_of(variable.key))
    value = variable.value.strip()
    if not words & {"CREDENTIALS", "CREDENTIAL", "KEY", "CERT", "SECRET", "ACCOUNT", "PEM", "KEYFILE", "TOKEN"} or (
        variable.kind is Kind.SERVICE_ACCOUNT and not re.search(r"\.json$|\.pem$", value)
    ):
        return
    if value[:1] == "{" and variable.kind is Kind.PATH:
        yield Hit(
            problem="bad_type",
            fix="write the path of a file: the JSON itself belongs in a secret file",
            end=len(variable.value),
            is_error=True,
        )
        return
    files = case.context.files
    if files is not None:
        missing = value not in files and not any(value.endswith("/" + each.lstrip("./")) for each in files)
    else:
        elsewhere = re.match(
            r"/Users/|/home/(?!site/|app/|node/|appuser/|runner/|user/app)|[A-Za-z]:[\\/]|~/|%USERPROFILE%|.*(?:Downloads|Desktop)[\\/]",
            value,
        )
        relative = re.match(r"(?:\.{1,2}[\\/])?[\w][\w.\\/ -]*\.(?:json|pem|key|p12|p8|crt)$", value)
        missing = bool((elsewhere and case.is_production) or (relative and case.context.runs_on in HOSTED))
    if missing and value:
        yield Hit(
            problem="credential_path_missing",
            fix="make it a secret file of the platform (Render: /etc/secrets/name) and write that path",
            end=len(variable.value),
        )


RULE = Rule(
    name="runtime",
    about="Versions, memory, search path, debug switches and credential files as the runtime meets them.",
    problems=(
        "python_version_no_patch",
        "version_not_offered",
        "debug_in_production",
        "path_overridden",
        "heap_over_memory",
        "credential_path_missing",
        "bad_type",
    ),
    look=look,
    order=54,
    examples=(
        Example(
            ("PYTHON_VERSION python_version_no_patch",), {"PYTHON_VERSION": "3.12"}, context={"platform": "render"}
        ),
        Example(("PYTHON_VERSION version_not_offered",), {"PYTHON_VERSION": "3.8.99"}, context={"platform": "render"}),
        Example(("PYTHON_VERSION bad_type",), {"PYTHON_VERSION": "python-3.11.9"}, context={"platform": "render"}),
        Example(("DEBUG debug_in_production",), {"DEBUG": "True", "ENVIRONMENT": "production"}),
        Example(("PATH path_overridden",), {"PATH": "/app/node_modules/.bin"}),
        Example(
            ("NODE_OPTIONS heap_over_memory",),
            {"NODE_OPTIONS": "--max-old-space-size=2048"},
            context={"memory": "1 GB"},
        ),
        Example(("JAVA_OPTS heap_over_memory",), {"JAVA_OPTS": "-Xms128m -Xmx1g"}, context={"memory_mb": 512}),
        Example(
            ("GOOGLE_APPLICATION_CREDENTIALS credential_path_missing",),
            {"GOOGLE_APPLICATION_CREDENTIALS": "./serviceAccountKey.json"},
            context={"platform": "render"},
        ),
        Example(
            ("GOOGLE_APPLICATION_CREDENTIALS bad_type",),
            {"GOOGLE_APPLICATION_CREDENTIALS": '{"type": "service_account"}'},
        ),
        Example(
            (),
            {"PYTHON_VERSION": "3.11.9", "DEBUG": "false", "PATH": "/app/bin:/usr/local/bin:/usr/bin:/bin"},
            context={"platform": "render"},
        ),
        Example(
            (),
            {"PYTHON_VERSION": "3.12", "DEBUG": "true", "NODE_OPTIONS": "--max-old-space-size=384"},
            context={"memory_mb": 512},
        ),
        Example(
            (),
            {"DEBUG": "express:*", "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/gcp.json"},
            context={"platform": "render"},
        ),
    ),
)
