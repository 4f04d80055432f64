"""Every drill on the real chat services: what the edge, the events and the log then show, and that `heal` undoes it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.app.platform import connect
from everwake.app.why import ask_platform, facts_of_service, problems_of
from everwake.checks import Checks
from everwake.clock import SystemClock
from everwake.diagnose import diagnose
from everwake.fleet import schema as described
from everwake.platforms import Access
from everwake.sim.drills import DRILLS, HEAL, Changes, Places, changed_variables
from everwake.sim.processes.group import Group
from everwake.sim.records import Deploy, DeployStatus, Service, Suspender
from everwake.sim.simulator import Asked, Simulator
from everwake.sim.verbs import LogQuery, Refused
from tests.everwake.sim.rehearsal import QUICK, no_task_fails, until
from tests.support.processes import free_port

RULES = replace(QUICK, start_window_s=8.0, health_timeout_s=1.0, first_restart_s=0.1, lasting_s=60)
# A chat service on a busy machine needs longer than a tiny one to start; where nothing hangs, nobody waits for this.
PATIENT = replace(RULES, start_window_s=25.0)

SERVICE = """
  - type: web
    name: {name}
    plan: free
    startCommand: chatify {name}
    healthCheckPath: /health
    envVars:
      - {{key: BACKEND_CORS_ORIGINS, value: '["https://app.example.com"]'}}
      - {{key: ENVIRONMENT, value: production}}
      - {{key: REDIS_URL, fromService: {{type: keyvalue, name: cache, property: connectionString}}}}
"""
SIBLING = "      - {key: CHATBOT_URL, fromService: {type: web, name: chatbot, envVarKey: RENDER_EXTERNAL_URL}}\n"


class Silent:
    """A witness who says nothing."""

    def say(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def line(self, name: str, text: str) -> None: ...


class Drilled:
    """One service of a simulator, as a visitor and as its owner sees it."""

    def __init__(self, simulator: Simulator, service: Service, client: httpx.AsyncClient) -> None:
        self.simulator, self.id, self.name = simulator, service.id, service.name
        self.platform, self.client = simulator.platform, client
        self.url = self.platform.url(self.id)

    async def ask(self, path: str = "/health") -> tuple[int, str]:
        """Status and `x-render-routing` of a request through the edge."""
        answer = await self.client.get(self.url + path, headers={"Accept": "application/json"})
        return answer.status_code, answer.headers.get("x-render-routing", "")

    async def asked(self, wanted: tuple[int, str], path: str = "/health") -> None:
        """Until the edge answers so."""
        async with asyncio.timeout(30):
            while (seen := await self.ask(path)) != wanted:
                await asyncio.sleep(0.05)
                assert seen, wanted

    @property
    def log(self) -> str:
        return "\n".join(
            each.text
            for each in self.platform.logs(LogQuery(services=(self.id,), limit=1000, newest_first=False)).entries
        )

    def events(self, type_: str) -> list[Mapping[str, object]]:
        return [each.details for each in reversed(self.platform.events(self.id)) if each.type == type_]

    def failed_with(self, key: str) -> bool:
        return any(key in reason for each in self.events("server_failed") if isinstance(reason := each["reason"], dict))

    async def ended(self) -> Deploy:
        await until(lambda: not self.platform.deploys(self.id)[0].status.is_running)
        return self.platform.deploys(self.id)[0]


@asynccontextmanager
async def drilled(folder: Path, name: str = "chatbot", *others: str, patient: bool = True) -> AsyncIterator[Drilled]:
    """A simulator with the service `name` (and others), live."""
    blueprint = folder / "render.yaml"
    text = "services:" + "".join(SERVICE.format(name=each) for each in (*others, name))
    cache = "  - {type: keyvalue, name: cache, plan: free}\n"
    blueprint.write_text(text + (SIBLING if name == "backend" else "") + cache, encoding="utf-8")
    asked = Asked(
        data=folder / "data", blueprint=blueprint, port=free_port(), surroundings={"PATH": os.environ["PATH"]},
        real_rules=PATIENT if patient else RULES,
    )  # fmt: skip
    with Group() as group, no_task_fails():
        async with Simulator(asked, group, Silent()) as simulator, httpx.AsyncClient(timeout=30) as client:
            deploys = await asyncio.wait_for(simulator.settled(), 60)
            assert {each.status for each in deploys.values()} == {DeployStatus.LIVE}
            service = next(each for each in simulator.platform.services(simulator.owner.id) if each.name == name)
            yield Drilled(simulator, service, client)


async def fired(one: Drilled, how: str) -> Service:
    """Fire it; the service as it was before."""
    before = one.platform.service(one.id)
    said = await one.simulator.drilling.fire(one.id, how)
    assert (said["service"], said["cause"]) == (one.name, DRILLS[how].cause)
    assert one.simulator.drilling.broken(one.simulator.owner.id) == {one.id: how}
    return before


async def explained(one: Drilled, how: str, *, looks: bool = True) -> None:
    """The diagnosis calls it what the drill's row says, from a look, the platform, the log and the variables."""
    clock, at = SystemClock(), one.simulator.document["platform"]
    service = described.Service(
        name=one.name, url=one.url, platform="sim", plan="free", expect=described.Expect(json={"status": "healthy"})
    )
    async with Checks(clock) as checks, connect("sim", Access(key=described.Secret(at["key"]), url=at["url"])) as door:
        seen = [await checks.look(service)] if looks else []  # a look would wake who sleeps
        told = await ask_platform(door, door.find(id=one.id, name=one.name, host=None))
    fleet = described.Fleet(name="drilled", services=(service, *_siblings(one)))
    diagnosis = diagnose(facts_of_service(service, seen, told, problems_of(told, service, fleet), fleet))
    found = [(each.cause, each.sure, each.next) for each in diagnosis.causes]
    assert found, (how, seen)
    assert found[0][0] == DRILLS[how].cause, (how, found, diagnosis.ruled_out)
    assert found[0][2], "the next step is told"


def _siblings(one: Drilled) -> tuple[described.Service, ...]:
    others = [each for each in one.platform.services(one.simulator.owner.id) if each.id != one.id]
    return tuple(described.Service(name=each.name, url=one.platform.url(each.id)) for each in others)


async def healed(one: Drilled, before: Service) -> None:
    """Heal it: it answers again, and is configured as it was."""
    await one.simulator.drilling.fire(one.id, HEAL)
    assert one.simulator.drilling.broken(one.simulator.owner.id) == {}
    now = one.platform.service(one.id)
    assert (now.env, now.commits, now.health_check_path) == (before.env, before.commits, before.health_check_path)
    await one.asked((200, ""))
    await one.ended()
    assert await one.ask() == (200, "")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("bad-env", "BACKEND_CORS_ORIGINS"),
        ("placeholder-key", "placeholder"),
        ("crash-at-start", "ModuleNotFoundError: No module named 'chatify_extras'"),
    ],
)
async def test_a_service_that_cannot_start_any_more_is_down_with_its_reason_in_the_log(
    tmp_path: Path, how: str, said: str
) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, how)
        assert (await one.ended()).status is DeployStatus.UPDATE_FAILED
        assert await one.ask() == (502, "no-deploy")
        assert said in one.log
        assert one.failed_with("nonZeroExit")
        await explained(one, how)
        await healed(one, before)


@pytest.mark.parametrize(
    ("how", "said"), [("wrong-port", "Server started successfully on"), ("slow-start", "Loading the model")]
)
async def test_a_service_that_listens_nowhere_in_time_is_down(tmp_path: Path, how: str, said: str) -> None:
    async with drilled(tmp_path, patient=False) as one:
        before = await fired(one, how)
        assert (await one.ended()).status is DeployStatus.UPDATE_FAILED
        assert await one.ask() == (502, "no-deploy")
        assert said in one.log
        assert "No open ports detected, continuing to scan..." in one.log
        assert one.failed_with("timedOutSeconds")
        await explained(one, how)
        await healed(one, before)


async def test_crash_loop_goes_live_and_dies_again_and_again_until_it_is_rolled_back(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        good = one.platform.deploys(one.id)[0]
        before = await fired(one, "crash-loop")
        assert (await one.ended()).status is DeployStatus.LIVE
        await until(lambda: len(one.events("server_failed")) >= 2)
        assert "RuntimeError: connection pool exhausted" in one.log
        await explained(one, "crash-loop")
        await one.platform.rollback(one.id, good.id)
        assert (await one.ended()).status is DeployStatus.LIVE
        await one.asked((200, ""))
        await healed(one, before)


async def test_out_of_memory_is_ended_at_the_plans_limit(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "out-of-memory")
        await until(lambda: one.failed_with("oomKilled"), 40)
        assert "Out of memory (used over 512Mi)" in one.log
        await explained(one, "out-of-memory")
        await healed(one, before)


async def test_a_frozen_process_is_out_of_rotation_and_the_platform_restarts_it(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "hang")
        await until(lambda: one.events("server_unhealthy"))
        assert await one.ask() == (502, "no-deploy")
        await explained(one, "hang")
        await until(lambda: one.failed_with("unhealthy"))
        await one.asked((200, ""))
        await healed(one, before)


async def test_a_wrong_health_path_takes_a_service_that_is_well_out_of_rotation(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "wrong-health-path")
        await one.asked((502, "no-deploy"))
        assert one.events("server_unhealthy")
        await explained(one, "wrong-health-path")
        await healed(one, before)


@pytest.mark.parametrize(
    ("how", "reason"),
    [("redis-down", "refused"), ("redis-wrong-password", "auth"), ("redis-needs-tls", "disconnected")],
)
async def test_redis_trouble_is_told_by_the_redis_service(tmp_path: Path, how: str, reason: str) -> None:
    async with drilled(tmp_path, "redis-service", patient=False) as one:
        before = await fired(one, how)
        await until(lambda: f"Redis does not answer: {reason}" in one.log)
        assert (await one.ended()).status is DeployStatus.UPDATE_FAILED
        assert await one.ask() == (502, "no-deploy")
        await explained(one, how)
        await healed(one, before)


async def test_a_rejected_key_is_told_to_whoever_sends_a_message(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "provider-rejects-key")
        assert (await one.ended()).status is DeployStatus.LIVE
        session = f"{one.url}/api/v1/chatbot/session"
        made = await one.client.post(session, json={"user_id": "ada"})
        answer = await one.client.post(f"{session}/{made.json()['session_id']}/message", json={"message": "hello"})
        assert (answer.status_code, answer.json()["code"]) == (502, "provider_rejected_key")
        await explained(one, "provider-rejects-key")
        await healed(one, before)


async def test_a_wrong_sibling_url_names_a_host_that_the_edge_does_not_know(tmp_path: Path) -> None:
    async with drilled(tmp_path, "backend", "chatbot") as one:
        before = await fired(one, "wrong-sibling-url")
        assert (await one.ended()).status is DeployStatus.LIVE
        wrong = httpx.URL(one.platform.env(one.id)["CHATBOT_URL"])
        answer = await one.client.get(
            f"http://127.0.0.1:{wrong.port}/health", headers={"Host": f"{wrong.host}:{wrong.port}"}
        )  # fmt: skip
        assert (answer.status_code, answer.headers["x-render-routing"]) == (404, "no-server")
        await explained(one, "wrong-sibling-url")
        await healed(one, before)


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ("suspend-by-owner", (503, "suspend-by-user")),
        ("hours-exhausted", (503, "suspend")),
        ("edge-502", (502, "dynamic-free-error")),
        ("flapping", (502, "dynamic-free-error")),
    ],
)
async def test_what_the_platform_does_shows_at_the_edge(tmp_path: Path, how: str, answer: tuple[int, str]) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, how)
        await one.asked(answer)
        if how == "flapping":
            await one.asked((200, ""))
            await one.asked(answer)
        await explained(one, how)
        await healed(one, before)


async def test_asleep_the_next_request_wakes_it(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "sleep")
        assert one.platform.books.standing(one.id).is_asleep
        await until(lambda: not one.platform.instances(one.id))
        await explained(one, "sleep", looks=False)
        assert await one.ask() == (200, "")
        await healed(one, before)


async def test_a_superseded_deploy_is_canceled_and_nothing_is_down(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "deploy-superseded")
        assert await one.ask() == (200, "")
        assert one.platform.deploys(one.id)[1].status is DeployStatus.CANCELED
        assert one.events("deploy_ended")[-1]["reason"] == {"newDeploy": {"id": one.platform.deploys(one.id)[0].id}}
        await one.ended()
        await explained(one, "deploy-superseded")
        await healed(one, before)


async def test_a_build_that_fails_leaves_the_old_deploy_serving(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "build-fails")
        assert (await one.ended()).status is DeployStatus.BUILD_FAILED
        assert "ERROR: No matching distribution found for chatify-extras" in one.log
        assert await one.ask() == (200, "")
        await explained(one, "build-fails")
        await healed(one, before)


async def test_a_drill_outlasts_a_restart_and_can_be_healed_after_it(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "provider-rejects-key")
        assert (await one.ended()).status is DeployStatus.LIVE
    async with drilled(tmp_path) as one:
        assert one.simulator.drilling.broken(one.simulator.owner.id) == {one.id: "provider-rejects-key"}
        refuser = one.platform.env(one.id)["OPENAI_BASE_URL"]
        assert (await one.client.get(f"{refuser}/models")).status_code == 401
        one_before = replace(before, env={**before.env, "REDIS_URL": one.platform.env(one.id)["REDIS_URL"]})
        await healed(one, one_before)


async def test_one_drill_after_another_leaves_only_the_last_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "edge-502")
        await fired(one, "bad-env")
        assert await one.ended()
        for how, status, said in (
            ("no-such-drill", 404, "known are"),
            ("hgan", 404, "did you mean hang?"),
            ("wrong-sibling-url", 409, "sibling"),
        ):
            with pytest.raises(Refused, match=said) as refused:
                await one.simulator.drilling.fire(one.id, how)
            assert refused.value.status == status
        await one.simulator.drilling.fire(one.id, "bad-env")
        await healed(one, before)


async def test_a_drill_that_is_refused_leaves_the_one_before_and_its_heal(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "crash-at-start")
        await one.ended()
        with pytest.raises(Refused, match="no variable of the service holds the address of a sibling"):
            await one.simulator.drilling.fire(one.id, "wrong-sibling-url")
        assert one.simulator.drilling.broken(one.simulator.owner.id) == {one.id: "crash-at-start"}
        assert await one.ask() == (502, "no-deploy")
        await healed(one, before)


async def test_what_is_fired_over_another_is_fired_at_a_service_that_is_well_again(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "crash-at-start")
        await one.ended()
        await fired(one, "edge-502")
        assert await one.ask() == (502, "dynamic-free-error"), "the instance is well; its way is lost"
        await fired(one, "hang")
        await until(lambda: one.events("server_unhealthy"))
        await fired(one, "edge-502")
        assert await one.ask() == (502, "dynamic-free-error")
        await fired(one, "suspend-by-owner")
        assert await one.ask() == (503, "suspend-by-user")
        await fired(one, "wrong-health-path")
        await one.asked((502, "no-deploy"))
        await healed(one, before)


async def test_a_service_that_was_left_with_nothing_live_is_deployed_by_heal_though_no_drill_is_on(
    tmp_path: Path,
) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "crash-at-start")
        await one.ended()
        # As a simulator leaves it that is killed between the undoing and the deploy.
        await one.simulator.drilling._undo(one.platform.service(one.id))
        await healed(one, before)
        said = await one.simulator.drilling.fire(one.id, HEAL)
        assert said["said"] == "nothing is broken"


async def test_a_service_that_was_suspended_for_crashing_on_and_on_is_healed_to_the_commit_before(
    tmp_path: Path,
) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "crash-loop")
        await one.ended()
        service = one.platform.service(one.id)
        one.platform.books.put(replace(service, suspenders=frozenset({Suspender.CRASHLOOPING})))
        one.platform.hosted(one.id).halt()
        await healed(one, before)


CAUSES = {
    "bad_env_var", "wrong_service_url", "crashed_at_start", "crash_loop", "out_of_memory", "health_check_failing", "slow_start",
    "wrong_port", "dependency_redis", "dependency_tls", "dependency_external", "asleep", "suspended_by_owner",
    "suspended_free_quota", "deploy_superseded", "build_failed", "instance_unreachable",
}  # fmt: skip


def test_every_drill_says_what_it_is_called_and_who_cures_it() -> None:
    assert len(DRILLS) == 21
    for how, drill in DRILLS.items():
        assert how == drill.how
        assert drill.cause in CAUSES
        assert drill.remedy or drill.person, "somebody must be able to cure it"


def test_the_page_about_the_rehearsal_has_a_row_for_every_drill_with_its_cause_and_its_cure() -> None:
    page = (Path(__file__).parents[3] / "docs" / "rehearsal.md").read_text(encoding="utf-8")
    for drill in DRILLS.values():
        assert f"| `{drill.how}` | {drill.says} | `{drill.cause}` | {drill.remedy or drill.person} |" in page


def test_what_no_machine_can_know_is_left_to_a_person() -> None:
    """The keeper, too, asks a person for these (`remedy/playbooks`): no doctor knows a password, or what a port speaks."""
    unknowable = ("placeholder-key", "redis-down", "redis-wrong-password", "redis-needs-tls", "provider-rejects-key")
    assert all(DRILLS[how].person and not DRILLS[how].remedy for how in unknowable)


@given(
    st.dictionaries(
        st.sampled_from(["BACKEND_CORS_ORIGINS", "REDIS_URL", "CHATBOT_URL", "OTHER"]), st.text(max_size=60)
    )
)
def test_a_variable_drill_changes_something_or_says_that_it_cannot(env: dict[str, str]) -> None:
    places = Places(closed=1, tls=2, refuser=3, edge=4, siblings=("http://127.0.0.1:5",))
    for drill in DRILLS.values():
        if drill.changes is Changes.VARIABLE:
            try:
                changes = changed_variables(drill.how, env, places)
            except (LookupError, ValueError):
                continue
            assert any(env.get(key) != value for key, value in changes.items()) or env.get(
                "BACKEND_CORS_ORIGINS", ""
            ).endswith("-rsss")


def test_the_missions_leftover_stands_right_behind_the_list() -> None:
    changes = changed_variables("bad-env", {"BACKEND_CORS_ORIGINS": '["https://a.example"]'}, Places())
    assert changes == {"BACKEND_CORS_ORIGINS": '["https://a.example"] -rsss'}


async def test_a_way_that_the_edge_has_lost_is_not_lost_to_a_new_instance(tmp_path: Path) -> None:
    async with drilled(tmp_path) as one:
        before = await fired(one, "edge-502")
        await one.asked((502, "dynamic-free-error"))
        await one.platform.restart(one.id)
        await one.asked((200, ""))
        await healed(one, before)
