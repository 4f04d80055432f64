"""`render.yaml` examined before it ships: its variables with their lines and columns, its references, its health path. Pure.

Source of the format: render.com/docs/blueprint-spec (read 2026-11).
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from everwake.doctor import problems
from everwake.doctor.case import Edit
from everwake.doctor.context import Context
from everwake.doctor.examination import Finding, Study
from everwake.doctor.examination import study as study_variables
from everwake.doctor.kinds import Kind, kind_of_name
from everwake.doctor.words import nearest
from everwake.variable_problem import VariableProblem

__all__ = ["looks_like_one", "study", "what_else"]

_MEMORY_MB = {
    "free": 512,
    "starter": 512,
    "standard": 2048,
    "pro": 4096,
    "pro plus": 8192,
    "pro max": 16384,
    "pro ultra": 32768,
}
# Of services and of key value instances (render.com/pricing, read 2026-11); a near miss of one is told.
_PLANS = frozenset({*_MEMORY_MB, "starter plus", "standard plus", "custom"})
_LOOPBACK = re.compile(
    r"(?<!\S)(?:--host|--bind|--address|--hostname|-b|-H)[= ]+[\"']?(127\.0\.0\.1|localhost|\[::1\]|::1)(?![\w.-])"
)
_ON_RENDER = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,80}[a-z0-9])?)\.onrender\.com(?![\w.-])", re.IGNORECASE)
_LARGEST = 1_048_576
_TOP = frozenset({"services", "databases", "envVarGroups", "projects", "ungrouped"})
_SOURCES = frozenset({"value", "sync", "generateValue", "fromDatabase", "fromService", "previewValue"})


def looks_like_one(text: str) -> bool:
    """Whether a text without a name is a blueprint and not a file of variables."""
    return any(
        line.rstrip() in ("services:", "envVarGroups:", "databases:", "projects:")
        for line in text[:20_000].splitlines()
    )


def what_else(text: str) -> str:
    """What a YAML file is that is no blueprint, in words; "" where it is one, or cannot be read as YAML at all."""
    try:
        root = yaml.compose(text[:_LARGEST], Loader=yaml.SafeLoader) if len(text) <= _LARGEST else None
    except (yaml.YAMLError, RecursionError):
        return ""
    if len(text) > _LARGEST:
        return ""
    if root is None:
        return "an empty file"
    top = _fields(root)
    if not isinstance(root, yaml.MappingNode):
        return "YAML without any names" if isinstance(root, yaml.ScalarNode) else "a list"
    if "services" in top and isinstance(top["services"][1], yaml.MappingNode):
        return "a compose file: its services have names for keys"
    if "apiVersion" in top and "kind" in top:
        return "a manifest of Kubernetes"
    return "" if _TOP & top.keys() else "YAML of something else: none of services, databases, envVarGroups is in it"


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A value as it stands in the file."""

    text: str
    node: yaml.ScalarNode


def study(text: str, context: Context | None = None) -> Study:
    """What is wrong with a blueprint. context: `siblings` (hosts that exist) and what else is known of all its services."""
    known = context or Context()
    if len(text) > _LARGEST:
        return Study(findings=(_told("*", "bad_type", "a blueprint of more than 1 MiB is none", 1, 1, known),))
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        return Study(
            findings=(_told("*", "bad_type", "write YAML: it cannot be read from here on", line, column, known),)
        )
    except RecursionError:
        return Study(findings=(_told("*", "bad_type", "it is nested too deeply", 1, 1, known),))
    return _Blueprint(text, root, known).study()


def _told(
    key: str,
    problem: str,
    fix: str,
    line: int,
    column: int,
    context: Context,
    *,
    found: str = "",
    is_error: bool | None = None,
) -> Finding:
    return Finding(
        name=key, file_column=column,
        problem=VariableProblem(
            key=key, problem=problem, is_error=problems.is_error(problem) if is_error is None else is_error, fix=fix, line=line,
            column=column, found=found, service=context.service or None,
        ),
    )  # fmt: skip


def _fields(node: Any) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _items(fields: Mapping[str, tuple[yaml.Node, yaml.Node]], name: str) -> list[yaml.Node]:
    found = fields.get(name)
    return list(found[1].value) if found is not None and isinstance(found[1], yaml.SequenceNode) else []


def _text(fields: Mapping[str, tuple[yaml.Node, yaml.Node]], name: str) -> str:
    found = fields.get(name)
    return found[1].value if found is not None and isinstance(found[1], yaml.ScalarNode) else ""


class _Blueprint:
    def __init__(self, text: str, root: yaml.Node | None, context: Context) -> None:
        self.text, self.root, self.context = text, root, context
        self.nodes: dict[str, yaml.ScalarNode] = {}
        self.values: dict[str, str] = {}

    def study(self) -> Study:
        top = _fields(self.root)
        blocks = [top]
        for project in _items(top, "projects"):
            blocks += [_fields(environment) for environment in _items(_fields(project), "environments")]
        names = {
            kind: {_text(_fields(one), "name") for block in blocks for one in _items(block, kind)}
            for kind in ("services", "databases", "envVarGroups")
        }
        findings: list[Finding] = []
        secrets: list[str] = []
        for block in blocks:
            for kind in ("services", "envVarGroups"):
                for node in _items(block, kind):
                    found, hidden = self.service(_fields(node), names)
                    findings += found
                    secrets += hidden
        findings.sort(key=lambda one: (one.problem.line or 0, one.file_column or 0))
        return Study(findings=tuple(findings), secrets=tuple(secrets), values=self.values, write=self.write)

    def service(
        self, fields: Mapping[str, tuple[yaml.Node, yaml.Node]], names: Mapping[str, set[str]]
    ) -> tuple[list[Finding], tuple[str, ...]]:
        name = _text(fields, "name")
        context = replace(
            self.context, platform="render", service=name, is_public=True,
            memory_mb=_MEMORY_MB.get(_text(fields, "plan") or "starter"),
            environment=self.context.environment,
        )  # fmt: skip
        scalars: dict[str, _Scalar] = {}
        findings: list[Finding] = list(self.settings(fields, context))
        present: dict[str, int] = {}
        for item in _items(fields, "envVars"):
            about = _fields(item)
            key = _text(about, "key")
            if not key:
                findings += self.group(about, names, context)
                continue
            line, column = item.start_mark.line + 1, about["key"][1].start_mark.column + 1
            if key in present:
                findings.append(
                    _told(
                        key,
                        "duplicate_key",
                        f"keep one: line {present[key]} has it already",
                        line,
                        column,
                        context,
                        found=key,
                    )
                )
            present[key] = line
            findings += self.references(key, about, names, context)
            if "value" in about and isinstance(about["value"][1], yaml.ScalarNode):
                scalars[key] = _Scalar(about["value"][1].value, about["value"][1])
                findings += self.turned(key, about["value"][1], context)
                findings += self.strangers(key, about["value"][1], names, context)
            elif not _SOURCES & set(about):
                findings.append(
                    _told(
                        key,
                        "empty_value",
                        "give it a value, sync: false or generateValue: true",
                        line,
                        column,
                        context,
                        found="nothing",
                        is_error=False,
                    )
                )
        if "healthCheckPath" in fields and isinstance(fields["healthCheckPath"][1], yaml.ScalarNode):
            scalars["HEALTH_CHECK_PATH"] = _Scalar(fields["healthCheckPath"][1].value, fields["healthCheckPath"][1])
        for key, one in scalars.items():
            self.nodes[f"{name}/{key}"], self.values[f"{name}/{key}"] = one.node, one.text
        is_static = _text(fields, "runtime") == "static" or _text(fields, "type") == "static_site"
        study = study_variables(
            {key: one.text for key, one in scalars.items()},
            replace(
                context,
                expected_keys=tuple(key for key in context.expected_keys if key not in present),
                memory_mb=None if is_static else context.memory_mb,
            ),
        )
        findings += [
            self.placed(finding, scalars, name)
            for finding in study.findings
            if not (finding.problem.problem == "missing_key" and finding.name in present)
        ]
        return findings, study.secrets

    def settings(self, fields: Mapping[str, tuple[yaml.Node, yaml.Node]], context: Context) -> Iterator[Finding]:
        """What stands beside the variables: the plan, where the command listens, the health path."""
        plan = _text(fields, "plan")
        near = nearest(plan.lower(), _PLANS, 2) if plan and plan.lower() not in _PLANS else None
        if near is not None:
            yield self.at(fields["plan"][1], "plan", "bad_type", f"did you mean {near}?", context, found=plan[:40])
        for name in ("startCommand", "dockerCommand"):
            found = _LOOPBACK.search(_text(fields, name)) if _text(fields, "type") == "web" else None
            if found is not None:
                fix = "listen on 0.0.0.0: nobody reaches a loopback address from outside the instance"
                yield self.at(
                    fields[name][1], name, "bind_loopback", fix, context, found=found[1], within=found.start(1)
                )
        path = _text(fields, "healthCheckPath")
        if path and re.fullmatch(r"[\w-][\w./-]{0,200}", path):
            node = fields["healthCheckPath"][1]
            told = self.at(
                node, "healthCheckPath", "bad_type", f"begin it with a slash: /{path[:60]}", context, found=path[:60]
            )
            mended = json.dumps(f"/{path}") if isinstance(node, yaml.ScalarNode) and node.style else f"/{path}"
            yield replace(told, text_edits=((node.start_mark.index, node.end_mark.index, mended),))

    def group(
        self, about: Mapping[str, tuple[yaml.Node, yaml.Node]], names: Mapping[str, set[str]], context: Context
    ) -> Iterator[Finding]:
        """A group that the file does not have: it may be one of the dashboard."""
        named = _text(about, "fromGroup")
        if not named or named in names["envVarGroups"]:
            return
        near = difflib.get_close_matches(named, sorted(names["envVarGroups"]), 1, 0.6)
        fix = (
            f"did you mean {near[0]}?"
            if near
            else "no group of this file has that name; a sync fails if none on Render has"
        )
        yield self.at(
            about["fromGroup"][1],
            "fromGroup",
            "wrong_key_name",
            fix,
            context,
            found=f"group {named[:60]}",
            is_error=bool(near),
        )

    def strangers(
        self, key: str, node: yaml.ScalarNode, names: Mapping[str, set[str]], context: Context
    ) -> Iterator[Finding]:
        """Hosts of Render that no service of the file has. Render may have added four letters to a name, and another file
        may have the service: advice. Where the fleet file names the hosts there are, these are held against them instead."""
        others = names["services"] - {context.service, ""}
        if not others or context.siblings:
            return
        for found in _ON_RENDER.finditer(node.value[:20_000]):
            label = found[1].lower()
            if label in names["services"] or re.sub(r"-[a-z0-9]{4}$", "", label) in names["services"]:
                continue
            near = difflib.get_close_matches(label, sorted(names["services"]), 1, 0.6)
            if not near and kind_of_name(key) in (Kind.ORIGINS, Kind.JSON_ORIGINS):
                continue  # who may call need not be in this file
            fix = "no service of this file has this host" + (f"; did you mean that of {near[0]}?" if near else "")
            yield self.at(
                node,
                key,
                "wrong_sibling_host",
                fix,
                context,
                found=found[0][:100],
                is_error=False,
                within=found.start(),
            )

    @staticmethod
    def at(
        node: yaml.Node, key: str, problem: str, fix: str, context: Context, *, found: str, is_error: bool | None = None,
        within: int = 0,
    ) -> Finding:  # fmt: skip
        """Told of a scalar. within: how far in its text, where it stands on one line."""
        quoted = 1 if getattr(node, "style", None) in ("'", '"') else 0
        inner = within + quoted if node.start_mark.line == node.end_mark.line else 0
        line, column = node.start_mark.line + 1, node.start_mark.column + 1 + inner
        return _told(key, problem, fix, line, column, context, found=found, is_error=is_error)

    def references(
        self,
        key: str,
        about: Mapping[str, tuple[yaml.Node, yaml.Node]],
        names: Mapping[str, set[str]],
        context: Context,
    ) -> Iterator[Finding]:
        """A service or database that the file does not have. It may be there already, outside this blueprint: advice."""
        for field, kind, what in (("fromService", "services", "service"), ("fromDatabase", "databases", "database")):
            target = _fields(about[field][1]) if field in about else {}
            named = _text(target, "name")
            if named and named not in names[kind] and names[kind]:
                near = difflib.get_close_matches(named, sorted(names[kind]), 1, 0.6)
                mark = target["name"][1].start_mark
                fix = f"did you mean {near[0]}?" if near else f"no {what} of this file has that name"
                yield _told(
                    key,
                    "wrong_sibling_host",
                    fix,
                    mark.line + 1,
                    mark.column + 1,
                    context,
                    found=f"{what} {named[:60]}",
                    is_error=bool(near),
                )

    def turned(self, key: str, node: yaml.ScalarNode, context: Context) -> Iterator[Finding]:
        """A bare word that YAML makes something else of: 3.10 becomes 3.1, yes becomes true, 0800 a number."""
        if node.style is not None or node.tag.endswith((":str", ":null")):
            return
        made = (
            yaml.SafeLoader("").construct_object(node)
            if node.tag.endswith((":float", ":int", ":bool", ":timestamp"))
            else node.value
        )
        said = str(made).lower() if isinstance(made, bool) else str(made)
        if said != node.value.lower() and key != "PYTHON_VERSION":
            mark = node.start_mark
            yield replace(
                _told(key, "bad_type", f'put it in quotes: YAML makes "{said[:30]}" of it', mark.line + 1, mark.column + 1,
                context, is_error=False),
                text_edits=(self.span(node, json.dumps(node.value)),),
            )  # fmt: skip

    def placed(self, finding: Finding, scalars: Mapping[str, _Scalar], service: str) -> Finding:
        """The finding with its place in the file."""
        own = f"{service}/{finding.name}"
        scalar = scalars.get(finding.name)
        key = "healthCheckPath" if finding.name == "HEALTH_CHECK_PATH" else finding.problem.key
        if scalar is None:
            return replace(finding, name=own, problem=replace(finding.problem, key=key))
        node = scalar.node
        quoted = 1 if node.style in ("'", '"') else 0
        is_single = node.start_mark.line == node.end_mark.line
        inner = (finding.problem.column or 1) - 1 if is_single else 0
        fix = finding.problem.fix
        if finding.problem.problem == "secret_in_repository":
            fix = "write sync: false in its place, set it in the dashboard, and make a new one: this one is in the history"
        return replace(
            finding, name=own, file_column=node.start_mark.column + 1 + quoted + inner,
            problem=replace(finding.problem, key=key, fix=fix, line=node.start_mark.line + 1),
        )  # fmt: skip

    @staticmethod
    def span(node: yaml.ScalarNode, instead: str) -> Edit:
        return node.start_mark.index, node.end_mark.index, instead

    def write(self, name: str, value: str) -> Edit | None:
        """How the file would say the new value: bare where it was, else in the quotes it had."""
        node = self.nodes.get(name)
        if node is None or node.style in ("|", ">"):
            return None
        tries = [value] if node.style is None else []
        tries += [f"'{value}'"] if node.style == "'" and "'" not in value and "\n" not in value else []
        for tried in [*tries, json.dumps(value, ensure_ascii=False)]:
            try:
                read = yaml.compose(f"value: {tried}\n", Loader=yaml.SafeLoader)
            except yaml.YAMLError:
                continue
            again = _fields(read).get("value") if read is not None else None
            if (
                again is not None
                and isinstance(again[1], yaml.ScalarNode)
                and again[1].value == value
                and (again[1].style or again[1].tag == node.tag)
            ):
                return self.span(node, tried)
        return None
