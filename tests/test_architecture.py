"""The house rules that a machine can hold: what is pure, what is public, which way imports point, what is never committed."""

import ast
import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

# Standard-library values in, values out: correctness lives in these. A name here that does not exist yet is not looked at.
PURE = (
    "everwake.model", "everwake.keepalive.protocol", "everwake.sim.processes._restarts", "everwake.sim.records",
    "everwake.sim.life", "everwake.sim.pace", "everwake.sim.answers", "everwake.sim._codec", "everwake.sim.blueprint",
    "everwake.sim.resolving", "everwake.sim.drills", "everwake.sim.edge.answers",
    "everwake.fleet.schema", "everwake.fleet.redact", "everwake.fleet.naming",
    "everwake.checks._backoff",
    "everwake.watch.state", "everwake.watch.schedule", "everwake.watch.rota", "everwake.watch.vantage",
    "everwake.watch.incidents", "everwake.watch._showing",
    "everwake.watch.view", "everwake.watch.words", "everwake.app.explained",
    "everwake.history.packing", "everwake.history.uptime",
    "everwake.platforms._reading", "everwake.platforms._intentions", "everwake.sim.api.wire", "everwake.sim.api.limits",
    "everwake.diagnose.causes", "everwake.diagnose.facts", "everwake.diagnose.engine", "everwake.diagnose.look",
    "everwake.diagnose.documents", "everwake.diagnose.edges", "everwake.diagnose.rule", "everwake.diagnose.paste",
    "everwake.diagnose.log.reader", "everwake.diagnose.log.signs", "everwake.diagnose.log._prefix",
    "everwake.diagnose.log._pattern",
    "everwake.doctor.variables.dotenv", "everwake.doctor.rules", "everwake.doctor.fix", "everwake.doctor.blueprint",
    "everwake.doctor.examination", "everwake.doctor.context", "everwake.doctor.declared", "everwake.doctor.kinds",
    "everwake.doctor.known_schemes",
    "everwake.doctor.urls", "everwake.doctor.hosts", "everwake.doctor.words", "everwake.doctor.showing", "everwake.doctor.case",
    "everwake.doctor.problems", "everwake.doctor.telling", "everwake.doctor.sarif", "everwake.doctor.fleet_wide",
    "everwake.doctor.variables.dialects", "everwake.doctor.variables.readers", "everwake.doctor.rules._entries",
    "everwake.doctor.rules.blanks", "everwake.doctor.rules.characters", "everwake.doctor.rules.comments",
    "everwake.doctor.rules.databases", "everwake.doctor.rules.json_values", "everwake.doctor.rules.leaks",
    "everwake.doctor.rules.listening", "everwake.doctor.rules.origins", "everwake.doctor.rules.pem",
    "everwake.doctor.rules.placeholders", "everwake.doctor.rules.presence", "everwake.doctor.rules.quotes",
    "everwake.doctor.rules.reach", "everwake.doctor.rules.reading", "everwake.doctor.rules.runtime",
    "everwake.doctor.rules.schemes", "everwake.doctor.rules.siblings", "everwake.doctor.rules.tls",
    "everwake.doctor.rules.types",
    "everwake.remedy.plan", "everwake.remedy.guard", "everwake.remedy.proof", "everwake.remedy.steps", "everwake.remedy.telling",
    "everwake.remedy.standing", "everwake.remedy.playbooks.ask_person", "everwake.remedy.playbooks.deploy",
    "everwake.remedy.playbooks.deploy_clear_cache", "everwake.remedy.playbooks.fix_variables",
    "everwake.remedy.playbooks.point_to_sibling", "everwake.remedy.playbooks.restart", "everwake.remedy.playbooks.resume",
    "everwake.remedy.playbooks.rollback", "everwake.remedy.playbooks.wait", "everwake.remedy.playbooks.wait_for_dependency",
    "everwake.remedy.playbooks.wake",
    "everwake.budget.ledger", "everwake.budget.forecast", "everwake.budget.plan", "everwake.fleet.windows",
    "everwake.budget.hours", "everwake.budget.telling", "everwake.verify.junit",
    "everwake.verify.criteria", "everwake.notify.compose", "everwake.history.rollup",
    "chatify.masking", "chatify.problems", "chatify.chatbot.sessions", "chatify.backend.decide",
)  # fmt: skip

# What reaches out of the process, reads a clock or throws dice.
IMPURE = {
    "asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "uuid",
}  # fmt: skip
IMPURE_CALLS = frozenset({"open", "print", "input", "now", "utcnow", "today"})


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of everything we ship."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def tree_of(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported(tree: ast.AST, name: str) -> Iterator[str]:
    """Dotted names of the modules that a tree imports, those under TYPE_CHECKING included."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            yield ".".join([*above, *filter(None, [node.module])])


@pytest.mark.parametrize("name", [name for name in PURE if name in MODULES])
def test_a_pure_module_touches_nothing_outside(name: str) -> None:
    tree = tree_of(name)
    reached = {each for each in imported(tree, name) if each.split(".")[0] in IMPURE or each == "urllib.request"}
    called = {
        each.func.id if isinstance(each.func, ast.Name) else each.func.attr
        for each in ast.walk(tree)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name | ast.Attribute)
    }
    waits = [
        type(each).__name__ for each in ast.walk(tree) if isinstance(each, ast.AsyncFor | ast.AsyncWith | ast.Await)
    ]
    assert (reached, called & IMPURE_CALLS, waits) == (set(), set(), [])


def test_the_rule_about_pure_modules_is_not_about_nothing() -> None:
    assert len([name for name in PURE if name in MODULES]) >= 5


@pytest.mark.parametrize("name", sorted(MODULES))
def test_what_is_public_says_so_and_exists(name: str) -> None:
    """`__all__` names what a module offers; nothing of it is missing, and no name of it is private."""
    tree = tree_of(name)
    offers = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    found = [
        ast.literal_eval(node.value) for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]  # fmt: skip
    if not found:
        assert not offers or name.endswith("__main__"), "it defines something and has no __all__"
        return
    assert sorted(set(found[0])) == sorted(found[0])
    assert not [each for each in found[0] if each.startswith("_")]
    module = import_module(name)
    assert not [each for each in found[0] if not hasattr(module, each)]


def public_definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """What somebody outside may use: module-level definitions without underscore, and the methods of such classes."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, definitions) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, definitions) and not inner.name.startswith("_"):
                        yield f"{node.name}.{inner.name}", inner


# asyncio and ASGI name these; their meaning is written there.
CALLED_BY_A_FRAMEWORK = re.compile(
    r"\.(connection_made|connection_lost|data_received|eof_received|pause_writing|resume_writing|pipe_data_received|"
    r"pipe_connection_lost|process_exited|handle|setup|startup|shutdown|format|formatTime|emit|do_GET|do_POST)$"
)


def promised() -> set[str]:
    """Methods that a class others are built on explains once, for all who keep the promise."""
    classes = [node for name in MODULES for node in tree_of(name).body if isinstance(node, ast.ClassDef)]
    built_on = {ast.unparse(base).partition("[")[0] for node in classes for base in node.bases}
    return {
        said.partition(".")[2]
        for node in classes
        if node.name in built_on or any("Protocol" in ast.unparse(base) for base in node.bases)
        for said, inner in public_definitions(ast.Module([node], []))
        if ast.get_docstring(inner)  # type: ignore[arg-type]
    }


PROMISED = promised()


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not name.rpartition(".")[2].startswith("_")))
def test_what_is_public_is_explained(name: str) -> None:
    tree = tree_of(name)
    if tree.body:
        assert ast.get_docstring(tree), "the module says nothing about itself"
    silent = [
        said for said, node in public_definitions(tree)
        if not ast.get_docstring(node)  # type: ignore[arg-type]
        and not CALLED_BY_A_FRAMEWORK.search(said) and said.partition(".")[2] not in PROMISED
    ]  # fmt: skip
    assert silent == []


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.split(".")[0] == "chatify"))
def test_the_services_know_of_the_keeper_only_its_line(name: str) -> None:
    keepers = {each for each in imported(tree_of(name), name) if each.split(".")[0] == "everwake"}
    assert not {each for each in keepers if not each.startswith("everwake.keepalive")}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("everwake.keepalive")))
def test_the_keepalive_library_needs_nothing_of_ours(name: str) -> None:
    ours = {each for each in imported(tree_of(name), name) if each.split(".")[0] in {"everwake", "chatify"}}
    assert not {each for each in ours if not each.startswith("everwake.keepalive")}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_file_is_two_things(path: Path) -> None:
    names = {"utils", "util", "helpers", "helper", "base", "common", "manager", "misc"}
    assert path.stem.strip("_") not in names
    assert len(path.read_text(encoding="utf-8").splitlines()) < 700, "near 600 lines ask which two things it is"


# Each is put together here, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a path of one machine": re.compile(
        r"(?<![\w.:-])/(?:" + "wo" + r"rk/(?:main|shared)|ho" + r"me/\w+|ro" + r"ot/|Us" + r"ers/\w+|t" + r"mp/\w)"
    ),
    "a package registry": re.compile("py" + r"pi\.org|python" + r"hosted\.org|np" + r"mjs\.|--index" + "-url"),
    "a private key": re.compile("-----BEGIN (?:RSA |EC |OPENSSH )?PRIV" + r"ATE KEY-----\s*\n?[A-Za-z0-9+/=]{40}"),
    "a key of a known kind": re.compile(
        "|".join([
            "sk" + r"-(?:proj-)?[A-Za-z0-9]{32,}", "AK" + r"IA[A-Z0-9]{16}", "gh" + r"[pousr]_[A-Za-z0-9]{36}",
            "AI" + r"za[A-Za-z0-9_-]{35}", "rn" + r"d_[A-Za-z0-9]{28,}", "xo" + r"x[bp]-[0-9]{10,}-[A-Za-z0-9-]{20,}",
        ])
    ),
}  # fmt: skip


def committed() -> list[Path]:
    """Every file that git keeps; all that lie here where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for top in ("src", "tests", "docs", "bench") for path in (ROOT / top).rglob("*") if path.is_file()]


def test_nothing_committed_names_a_machine_a_registry_or_a_secret() -> None:
    found = []
    for path in committed():
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        for what, pattern in FORBIDDEN.items():
            found += [f"{path.relative_to(ROOT)}: {what}: {hit[0][:30]}" for hit in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a path of one machine", "open('/wo" + "rk/main/x')"),
        ("a path of one machine", "/ho" + "me/ada/.env"),
        ("a package registry", "https://py" + "pi.org/simple"),
        ("a key of a known kind", "OPENAI_API_KEY=sk" + "-" + "a1" * 20),
        ("a private key", "-----BEGIN PRIV" + "ATE KEY-----\n" + "M" * 60),
    ],
)
def test_the_search_for_what_must_not_be_committed_finds_it(what: str, text: str) -> None:
    assert FORBIDDEN[what].search(text)
