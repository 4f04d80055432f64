"""A real `render.yaml`, read with every mistake at once, each with its line and column. Pure; `resolving` fills in the values.

Field names: Render's Blueprint reference (render.com/docs/blueprint-spec, read 2026-11). What a simulator has no use for (disks,
domains, previews, scaling) is accepted and left aside.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from everwake.errors import Misused
from everwake.sim.records import PLAN_MEMORY_BYTES, ServiceType

__all__ = ["BadBlueprint", "Blueprint", "EnvEntry", "GroupDraft", "Problem", "ServiceDraft", "parse"]

MOST_BYTES = 2**20
MOST_PROBLEMS = 50

TYPES: Mapping[str, ServiceType] = {
    "web": ServiceType.WEB, "pserv": ServiceType.PRIVATE, "worker": ServiceType.WORKER, "cron": ServiceType.CRON,
    "static": ServiceType.STATIC,
}  # fmt: skip
STORES = ("keyvalue", "redis")
PLANS = (*PLAN_MEMORY_BYTES, "pro plus", "pro max", "pro ultra", "starter plus")
REGIONS = ("oregon", "ohio", "virginia", "frankfurt", "singapore")
RUNTIMES = ("docker", "elixir", "go", "image", "node", "python", "ruby", "rust", "static")
_PROPERTIES = ("connectionString", "host", "hostport", "port")
_DB_PROPERTIES = ("connectionString", "connectionPoolString", "database", "host", "password", "port", "user")
_ROOT = (
    "services",
    "databases",
    "envVarGroups",
    "projects",
    "ungrouped",
    "previews",
    "version",
    "name",
    "environments",
)
_SERVICE = (
    "type", "name", "plan", "region", "runtime", "env", "repo", "branch", "rootDir", "buildCommand", "preDeployCommand",
    "startCommand", "healthCheckPath", "autoDeploy", "autoDeployTrigger", "maxShutdownDelaySeconds", "numInstances", "envVars",
    "staticPublishPath", "schedule", "dockerCommand",
)  # fmt: skip
_LEFT_ASIDE = (
    "buildFilter", "disk", "dockerContext", "dockerfilePath", "domain", "domains", "headers", "image", "initialDeployHook",
    "ipAllowList", "maintenanceMode", "maxmemoryPolicy", "previewPlan", "previews", "pullRequestPreviewsEnabled",
    "registryCredential", "renderSubdomainPolicy", "routes", "scaling", "secretFiles", "url",
)  # fmt: skip
_ENTRY = ("key", "value", "generateValue", "sync", "fromService", "fromDatabase", "fromGroup", "previewValue")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. line, column: from 1."""

    line: int
    column: int
    message: str


class BadBlueprint(Misused):
    """The file cannot be used. problems: all of them, in their order."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        shown = sorted(set(problems))
        lines = [f"{name}:{each.line}:{each.column}: {each.message}" for each in shown[:MOST_PROBLEMS]]
        if len(shown) > MOST_PROBLEMS:
            lines.append(f"{name}: and {len(shown) - MOST_PROBLEMS} more")
        super().__init__("\n".join(lines), hint="its fields: render.com/docs/blueprint-spec")
        self.problems = tuple(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvEntry:
    """One variable. Exactly one of value, is_generated, is_given (`sync: false`), service and database says where it is from.

    wanted: of a service or database: a property, or the name of one of its variables (`is_variable`).
    """

    key: str
    line: int
    column: int
    value: str | None = field(default=None, repr=False)
    is_generated: bool = False
    is_given: bool = False
    service: str = ""
    database: str = ""
    wanted: str = ""
    is_variable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDraft:
    """One service as written. groups: names of env groups, in order.   start_command: "" where nothing is to be started."""

    name: str
    type: ServiceType
    line: int
    plan: str = "starter"
    region: str = "oregon"
    runtime: str = ""
    repo: str = ""
    branch: str = "main"
    root_dir: str = ""
    build_command: str = ""
    pre_deploy_command: str = ""
    start_command: str = ""
    health_check_path: str = ""
    auto_deploy: bool = True
    max_shutdown_delay_s: float = 30.0
    num_instances: int = 1
    publish_path: str = ""
    env: tuple[EnvEntry, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDraft:
    """Variables that several services share."""

    name: str
    env: tuple[EnvEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """The whole file. stores: names of its Key Value services.   databases: names.   notes: what is left aside, for a person."""

    services: tuple[ServiceDraft, ...] = ()
    groups: tuple[GroupDraft, ...] = ()
    stores: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


# --- reading ----------------------------------------------------------------------------------------------------------------


def parse(text: str, name: str = "render.yaml") -> Blueprint:
    """The blueprint.

    Raises:
        BadBlueprint: with all that is wrong.
    """
    if len(text) > MOST_BYTES:
        raise BadBlueprint(name, [Problem(1, 1, f"larger than {MOST_BYTES // 2**20} MiB")])
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadBlueprint(name, [Problem(line, column, f"not YAML: {error.problem or error.context}")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadBlueprint(name, [Problem(1, 1, f"not YAML: {str(error) or 'nested too deeply'}")]) from None
    reader = _Reader()
    blueprint = reader.read(root)
    if reader.problems:
        raise BadBlueprint(name, reader.problems)
    return blueprint


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return {"null": "nothing", "bool": "true or false", "int": "a number", "float": "a number"}.get(
        str(node.tag).rpartition(":")[2], "a text"
    )


def _a(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


class _Reader:
    """Walks the nodes and remembers what is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._named: dict[str, yaml.Node] = {}
        self._references: list[tuple[yaml.Node, str, str]] = []

    def read(self, root: yaml.Node | None) -> Blueprint:
        services: list[ServiceDraft] = []
        groups: list[GroupDraft] = []
        stores: list[str] = []
        databases: list[str] = []
        if root is None:
            self.problems.append(Problem(1, 1, "nothing in it; a blueprint has `services`"))
            return Blueprint()
        for node in self._scopes(root):
            for key, value in self._fields(node, _ROOT, "blueprint").items():
                if key == "services":
                    for each in self._items(value, key):
                        self._service(each, services, stores)
                elif key == "databases":
                    databases += [name for each in self._items(value, key) if (name := self._name(each, "database"))]
                elif key == "envVarGroups":
                    groups += [group for each in self._items(value, key) if (group := self._group(each))]
        self._follow(services, groups, stores, databases)
        return Blueprint(
            services=tuple(services), groups=tuple(groups), stores=tuple(stores), databases=tuple(databases),
            notes=tuple(self.notes),
        )  # fmt: skip

    def _scopes(self, root: yaml.Node) -> Iterator[yaml.Node]:
        """The document itself, and every environment of its projects."""
        yield root
        if not isinstance(root, yaml.MappingNode):
            return
        for key, value in root.value:
            if key.value == "ungrouped":
                yield value
            elif key.value == "projects":
                for project in self._items(value, "projects"):
                    known = ("name", "environments", "envVarGroups", "services", "databases")
                    inner = self._fields(project, known, "project")
                    if "envVarGroups" in inner:
                        yield yaml.MappingNode("", [(k, v) for k, v in project.value if k.value == "envVarGroups"])
                    if "environments" in inner:
                        yield from self._items(inner["environments"], "environments")

    # --- the parts ---------------------------------------------------------------------------------------------------------

    def _service(self, node: yaml.Node, services: list[ServiceDraft], stores: list[str]) -> None:
        fields = self._fields(node, _SERVICE, "service", _LEFT_ASIDE)
        kind = self._choice(fields, "type", (*TYPES, *STORES), node, required=True)
        name = self._name(node, "service", fields)
        if kind in STORES:
            if name:
                stores.append(name)
            return
        runtime = self._choice(fields, "runtime", RUNTIMES, node) or self._choice(fields, "env", RUNTIMES, node)
        is_static = kind == "static" or (kind == "web" and runtime == "static")
        type_ = ServiceType.STATIC if is_static else TYPES.get(kind, ServiceType.WEB)
        docker_command = self._text(fields, "dockerCommand")
        start = self._text(fields, "startCommand") or docker_command
        if not start and kind and not is_static:
            if runtime in ("docker", "image"):
                self.notes.append(f"{name}: a container without a dockerCommand; it is listed, not run")
            else:
                self._wrong(node, f"service {name or '?'} has no startCommand")
        path = self._text(fields, "healthCheckPath")
        if path and not path.startswith("/"):
            self._wrong(fields["healthCheckPath"], f"healthCheckPath: {path!r} does not begin with /")
        env, groups = self._env(fields.get("envVars"))
        if not name or not kind:
            return
        services.append(ServiceDraft(
            name=name, type=type_, line=node.start_mark.line + 1,
            plan=self._choice(fields, "plan", PLANS, node) or "starter",
            region=self._choice(fields, "region", REGIONS, node) or "oregon", runtime=runtime,
            repo=self._text(fields, "repo"), branch=self._text(fields, "branch") or "main",
            root_dir=self._folder(fields), build_command=self._text(fields, "buildCommand"),
            pre_deploy_command=self._text(fields, "preDeployCommand"), start_command=start, health_check_path=path,
            auto_deploy=self._auto_deploy(fields),
            max_shutdown_delay_s=self._number(fields, "maxShutdownDelaySeconds", 1, 300, 30),
            num_instances=int(self._number(fields, "numInstances", 1, 100, 1)),
            publish_path=self._text(fields, "staticPublishPath"), env=env, groups=groups,
        ))  # fmt: skip

    def _group(self, node: yaml.Node) -> GroupDraft | None:
        fields = self._fields(node, ("name", "envVars"), "env group")
        name = self._name(node, "env group", fields)
        env, groups = self._env(fields.get("envVars"))
        if groups:
            self._wrong(node, "an env group cannot hold another (fromGroup)")
        return GroupDraft(name=name, env=env) if name else None

    def _env(self, node: yaml.Node | None) -> tuple[tuple[EnvEntry, ...], tuple[str, ...]]:
        entries: dict[str, EnvEntry] = {}
        groups: list[str] = []
        for each in self._items(node, "envVars") if node is not None else ():
            fields = self._fields(each, _ENTRY, "variable")
            if "fromGroup" in fields:
                group = self._text(fields, "fromGroup")
                groups.append(group)
                self._references.append((fields["fromGroup"], "env group", group))
                if "key" in fields:
                    self._wrong(fields["key"], "fromGroup takes every variable of the group, so it has no key")
                continue
            entry = self._entry(each, fields)
            if entry is None:
                continue
            if entry.key in entries:
                self._wrong(each, f"{entry.key} is set twice; first in line {entries[entry.key].line}")
            entries[entry.key] = entry
        return tuple(entries.values()), tuple(groups)

    def _entry(self, node: yaml.Node, fields: Mapping[str, yaml.Node]) -> EnvEntry | None:
        key = self._text(fields, "key")
        if not key:
            if fields:
                self._wrong(node, "a variable without a key")
            return None
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        from_where = [
            each for each in ("value", "generateValue", "sync", "fromService", "fromDatabase") if each in fields
        ]
        if len(from_where) != 1:
            what = f"{' and '.join(from_where)}; keep one" if from_where else "neither a value nor a source"
            self._wrong(node, f"{key} has {what}")
            return None
        source = from_where[0]
        if source == "value":
            return EnvEntry(key=key, line=line, column=column, value=self._text(fields, "value", scalar=True))
        if source in ("generateValue", "sync"):
            wanted = source == "generateValue"
            if self._flag(fields[source], source) is (not wanted):
                self._wrong(fields[source], f"{key}: {source}: {str(wanted).lower()} is meant, else write a value")
            return EnvEntry(key=key, line=line, column=column, is_generated=wanted, is_given=not wanted)
        is_service = source == "fromService"
        known = ("name", "type", "property", "envVarKey") if is_service else ("name", "property")
        inner = self._fields(fields[source], known, source)
        name = self._text(inner, "name")
        if not name:
            self._wrong(fields[source], f"{key}: {source} needs a name")
            return None
        self._references.append((inner["name"], "service" if is_service else "database", name))
        variable = self._text(inner, "envVarKey")
        if variable and "property" in inner:
            self._wrong(fields[source], f"{key}: property and envVarKey; keep one")
        properties = _PROPERTIES if is_service else _DB_PROPERTIES
        wanted_property = "" if variable else self._choice(inner, "property", properties, fields[source], required=True)
        return EnvEntry(
            key=key, line=line, column=column, service=name if is_service else "", database="" if is_service else name,
            wanted=variable or wanted_property, is_variable=bool(variable),
        )  # fmt: skip

    def _follow(
        self,
        services: Sequence[ServiceDraft],
        groups: Sequence[GroupDraft],
        stores: Sequence[str],
        databases: Sequence[str],
    ) -> None:
        """What is referred to must be there."""
        known = {
            "service": [*(each.name for each in services), *stores], "env group": [each.name for each in groups],
            "database": list(databases),
        }  # fmt: skip
        for node, what, name in self._references:
            if name and name not in known[what]:
                self._wrong(node, f"there is no {what} {name!r}{_near(name, known[what])}")

    # --- fields ------------------------------------------------------------------------------------------------------------

    def _fields(
        self, node: yaml.Node, known: Sequence[str], what: str, left_aside: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, f"{_a(what)} is a mapping, not {_kind(node)}")
            return {}
        found: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, f"a field of {_a(what)} is a word")
            elif key.tag.endswith(":merge"):
                for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = {**self._fields(each, known, what, left_aside), **merged}
            elif key.value in left_aside:
                continue
            elif key.value not in known:
                self._wrong(key, f"{_a(what)} has no field {key.value!r}{_near(key.value, (*known, *left_aside))}")
            elif key.value in found:
                self._wrong(key, f"{key.value} is there twice")
            else:
                found[key.value] = value
        return {**merged, **found}

    def _items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if _kind(node) != "nothing":
            self._wrong(node, f"{what} is a list, not {_kind(node)}")
        return []

    def _name(self, node: yaml.Node, what: str, fields: Mapping[str, yaml.Node] | None = None) -> str:
        if fields is None:
            fields = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        name = self._text(fields, "name")
        if not name:
            self._wrong(node, f"{_a(what)} without a name")
        elif f"{what} {name}" in self._named:
            first = self._named[f"{what} {name}"].start_mark.line + 1
            self._wrong(fields["name"], f"there is {_a(what)} named {name!r} already, in line {first}")
        else:
            self._named[f"{what} {name}"] = node
        return name

    def _text(self, fields: Mapping[str, yaml.Node], key: str, *, scalar: bool = False) -> str:
        node = fields.get(key)
        if node is None:
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(node, f"{key} is a text, not {_kind(node)}")
            return ""
        # As it was written: `value: 08` is not 8, and `value: yes` is not True.
        return "" if _kind(node) == "nothing" and not scalar else "" if node.tag.endswith(":null") else str(node.value)

    def _choice(
        self,
        fields: Mapping[str, yaml.Node],
        key: str,
        known: Sequence[str],
        within: yaml.Node,
        *,
        required: bool = False,
    ) -> str:
        value = self._text(fields, key)
        if not value:
            if required:
                self._wrong(fields.get(key, within), f"{key} is missing; one of {', '.join(known)}")
            return ""
        if value not in known:
            self._wrong(fields[key], f"{key}: {value!r} is not known{_near(value, known)}")
            return ""
        return value

    def _number(self, fields: Mapping[str, yaml.Node], key: str, least: float, most: float, default: float) -> float:
        if key not in fields:
            return default
        text = self._text(fields, key)
        if text.isdecimal() and len(text) < 10 and least <= int(text) <= most:
            return float(text)
        self._wrong(fields[key], f"{key} must be a whole number from {least:g} to {most:g}")
        return default

    def _flag(self, node: yaml.Node, key: str) -> bool | None:
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":bool"):
            return str(node.value).lower() in ("true", "yes", "on", "y")
        self._wrong(node, f"{key} is true or false, not {_kind(node)}")
        return None

    def _auto_deploy(self, fields: Mapping[str, yaml.Node]) -> bool:
        if "autoDeployTrigger" in fields:
            triggers = ("off", "commit", "checksPass")
            node = fields["autoDeployTrigger"]
            if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":bool"):  # YAML reads a bare `off` as false
                return str(node.value).lower() not in ("off", "false", "no")
            return self._choice(fields, "autoDeployTrigger", triggers, node) != "off"
        return self._flag(fields["autoDeploy"], "autoDeploy") is not False if "autoDeploy" in fields else True

    def _folder(self, fields: Mapping[str, yaml.Node]) -> str:
        folder = self._text(fields, "rootDir")
        if folder.startswith(("/", "\\")) or ".." in folder.replace("\\", "/").split("/"):
            self._wrong(fields["rootDir"], "rootDir must stay within the repository")
            return ""
        return folder

    def _wrong(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(node.start_mark.line + 1, node.start_mark.column + 1, message))


def _near(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}" if len(known) <= 12 else ""
