"""Blueprints: everything that is wrong at once with its place, and where each variable's value comes from."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.fleet.load import load
from everwake.sim import own_blueprint
from everwake.sim.blueprint import BadBlueprint, parse
from everwake.sim.drills import DRILLS
from everwake.sim.records import ServiceType
from everwake.sim.resolving import Reach, Resolved, resolve

BAD = sorted((Path(__file__).parents[2] / "config" / "bad_blueprints").glob("*.yaml"))


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_every_mistake_is_told_at_once_with_its_place_and_the_nearest_name(file: Path) -> None:
    with pytest.raises(BadBlueprint) as bad:
        parse(file.read_text(encoding="utf-8"), "render.yaml")
    assert bad.value.message + "\n" == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert bad.value.exit_code == 2


def values(text: str, given: dict[str, str] | None = None) -> Resolved:
    reach = Reach(
        services={"api": "http://127.0.0.1:8702", "private": "http://127.0.0.1:8703"},
        stores={"cache": "redis://:pw@127.0.0.1:6379/0"},
    )  # fmt: skip
    return resolve(
        parse(text), reach, lambda where, key: (given or {}).get(key), lambda where, key: f"made-{where}-{key}"
    )


SERVICE = "services:\n  - {type: keyvalue, name: cache}\n  - {type: pserv, name: private, startCommand: x}\n  - type: web\n    name: api\n    startCommand: x\n    envVars:\n"  # noqa: E501


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("{key: A, value: 08}", "08"),
        ("{key: A, value: yes}", "yes"),
        ("{key: A, value: 3.10}", "3.10"),
        ("{key: A, value: }", ""),
        ("{key: A, generateValue: true}", "made-api-A"),
        ("{key: A, sync: false}", "told"),
        ("{key: A, fromService: {name: cache, type: keyvalue, property: connectionString}}", "redis://:pw@127.0.0.1:6379/0"),
        ("{key: A, fromService: {name: cache, type: keyvalue, property: port}}", "6379"),
        ("{key: A, fromService: {name: private, type: pserv, property: hostport}}", "127.0.0.1:8703"),
        ("{key: A, fromService: {name: private, type: pserv, property: host}}", "127.0.0.1"),
        ("{key: A, fromService: {name: api, type: web, envVarKey: RENDER_EXTERNAL_URL}}", "http://127.0.0.1:8702"),
        ("{key: A, fromService: {name: api, type: web, envVarKey: B}}\n      - {key: B, value: b}", "b"),
    ],
)  # fmt: skip
def test_where_a_value_comes_from(entry: str, value: str) -> None:
    assert values(f"{SERVICE}      - {entry}\n", {"A": "told"}).env["api"]["A"] == value


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{key: A, sync: false}", "nobody gave it a value"),
        ("{key: A, fromService: {name: api, type: web, envVarKey: NOPE}}", "has no variable NOPE"),
        ("{key: A, fromService: {name: api, type: web, envVarKey: A}}", "lead back to itself"),
    ],
)
def test_a_value_that_nobody_has_is_left_unset_and_said(entry: str, why: str) -> None:
    resolved = values(f"{SERVICE}      - {entry}\n")
    assert "A" not in resolved.env["api"]
    assert [(each.where, each.key) for each in resolved.missing] == [("api", "A")]
    assert why in resolved.missing[0].why


def test_a_database_is_not_run_and_that_is_said() -> None:
    text = f"databases: [{{name: db}}]\n{SERVICE}      - {{key: A, fromDatabase: {{name: db, property: connectionString}}}}\n"
    assert "runs no database db" in values(text).missing[0].why


def test_groups_projects_anchors_and_off() -> None:
    blueprint = parse("""
projects:
  - name: shop
    environments:
      - name: production
        envVarGroups:
          - name: shared
            envVars: [{key: A, value: "1"}]
        services:
          - &web
            type: web
            name: one
            autoDeployTrigger: off
            startCommand: serve
            disk: {name: data, mountPath: /data}
            envVars: [{fromGroup: shared}]
          - <<: *web
            name: two
          - {type: web, runtime: static, name: site, staticPublishPath: dist}
          - {type: web, runtime: docker, name: box}
""")
    assert [each.name for each in blueprint.services] == ["one", "two", "site", "box"]
    one, two, site, _ = blueprint.services
    assert one.groups == two.groups == ("shared",)
    assert not one.auto_deploy
    assert site.type is ServiceType.STATIC
    assert blueprint.groups[0].env[0].value == "1"
    assert blueprint.notes == ("box: a container without a dockerCommand; it is listed, not run",)


def test_the_repositorys_own_describes_the_whole_fleet() -> None:
    blueprint = parse(own_blueprint.file().read_text(encoding="utf-8"))
    assert [each.name for each in blueprint.services] == ["chatbot", "backend", "redis-service", "keeper"]
    assert {each.plan for each in blueprint.services} == {"free"}
    assert all(each.health_check_path == "/health" for each in blueprint.services)
    reach = Reach(
        services={each.name: "http://127.0.0.1:1" for each in blueprint.services}, stores={"chatify-redis": "redis://x"}
    )
    resolved = resolve(blueprint, reach, lambda where, key: "given", lambda where, key: "made")
    assert resolved.missing == ()
    nine = {
        "BACKEND_CORS_ORIGINS", "REDIS_URL", "DEBUG", "ENVIRONMENT", "HOST", "LOG_LEVEL", "OPENAI_API_KEY", "PORT",
        "PYTHON_VERSION",
    }  # fmt: skip
    assert nine <= set(resolved.env["chatbot"]) | set(resolved.groups["chatify"])


@given(st.text(max_size=300))
def test_any_text_is_a_blueprint_or_told_as_mistakes(text: str) -> None:
    try:
        parse(text)
    except BadBlueprint as bad:
        assert bad.problems
        assert all(each.line >= 1 and each.column >= 1 for each in bad.problems)


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["web", "one", "free", "keyvalue", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["services", "type", "name", "envVars", "key", "value", "fromService", "projects", "plan"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(YAML)
def test_any_shape_is_a_blueprint_or_told_as_mistakes(shape: object) -> None:
    import yaml

    try:
        parse(yaml.safe_dump({"services": [shape], "envVarGroups": shape, "projects": [shape]}))
    except BadBlueprint as bad:
        assert bad.problems


ROOT = Path(__file__).parents[3]


def test_the_wheel_carries_the_blueprint_where_it_is_looked_for() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    carried = ROOT / "src" / wheel["force-include"]["render.yaml"]
    assert carried == Path(own_blueprint.__file__).parent / "data" / "render.yaml"
    assert own_blueprint.file() == ROOT / "render.yaml"


def test_the_image_takes_in_what_it_copies_and_runs_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    copied = [
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    assert {name.partition("/")[0] for name in copied} <= let_in
    assert all((ROOT / name).exists() for name in copied)
    assert "USER everwake" in lines
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {"chatbot", "backend", "redis-service", "keeper"} <= set(extras)


def test_the_page_about_drills_has_every_one_of_them_as_it_is() -> None:
    page = (ROOT / "docs" / "rehearsal.md").read_text(encoding="utf-8")
    for drill in DRILLS.values():
        assert f"| `{drill.how}` | {drill.says} | `{drill.cause}` | {drill.remedy or drill.person} |" in page


def test_the_keepers_file_of_the_blueprint_can_be_read_with_what_the_blueprint_gives_it() -> None:
    fleet = load(ROOT / "deploy" / "everwake.toml", {"EVERWAKE_PASSWORD": "as made by generateValue"})
    blueprint = parse(own_blueprint.file().read_text(encoding="utf-8"))
    assert {each.name for each in fleet.services} == {each.name for each in blueprint.services} - {"keeper"}
