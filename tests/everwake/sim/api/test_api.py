"""The parts of the API that the official client does not show: keys, limits, cursors, mistakes, log lines as they come."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from everwake.sim.api.limits import Limits, Meter
from everwake.sim.verbs import Refused
from tests.support.fake_clock import FakeClock
from tests.support.fake_workspace import KEY, FakeWorkspace
from tests.support.render_description import WHERE, Held, mistakes
from tests.support.sim_api import Served, served

BEARER = {"Authorization": f"Bearer {KEY}"}


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, "Bearer \xff"])
async def test_nobody_comes_in_without_a_key(api: Served, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    async with httpx.AsyncClient(base_url=api.url, trust_env=False) as client:
        answers = [await client.get("/services", headers=headers), await client.get("/nothing/here", headers=headers)]
        answers.append(await client.get(api.url.replace("/v1", "/sim/state"), headers=headers))
    assert {each.status_code for each in answers} == {401}
    assert {each.json()["message"] for each in answers} == {"Unauthorized"}


async def test_what_belongs_to_others_is_not_there(http: httpx.AsyncClient, workspace: FakeWorkspace) -> None:
    theirs, others = workspace.add("theirs", owner=1), workspace.owners[1]
    group = await workspace.create_env_group(others.id, "shared", {"A": "1"})
    event = workspace.happen(theirs.id, "suspender_added", actor="billing")
    asked = [
        f"/services/{theirs.id}", f"/services/{theirs.id}/env-vars", f"/services/{theirs.id}/deploys", f"/owners/{others.id}",
        f"/env-groups/{group.id}", f"/events/{event.id}", f"/metrics/cpu?resource={theirs.id}",
        f"/logs?ownerId={workspace.owners[0].id}&resource={theirs.id}",
    ]  # fmt: skip
    assert [(await http.get(each)).status_code for each in asked] == [404] * len(asked)
    stranger = await http.get("/logs", params={"ownerId": others.id, "resource": theirs.id})
    assert stranger.status_code == 400


# --- shapes of refusal ------------------------------------------------------------------------------------------------


async def test_every_refusal_has_the_shape_of_renders(http: httpx.AsyncClient, workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot").id
    many = "x" * 1_100_000
    answers = [
        (404, await http.get("/nothing")),
        (404, await http.get("/services/srv-nobody")),
        (404, await http.get(f"/services/{id}/deploys/dep-none")),
        (404, await http.delete(f"/services/{id}/env-vars/NONE")),
        (405, await http.delete("/services")),
        (405, await http.post(f"/services/{id}")),
        (406, await http.get("/services", headers={"Accept": "text/html"})),
        (400, await http.get("/services", params={"limit": "0"})),
        (400, await http.get("/services", params={"limit": "101"})),
        (400, await http.get("/services", params={"cursor": "%%%"})),
        (400, await http.get("/services", params={"cursor": "bm9uZQ"})),
        (400, await http.get("/services", params={"type": "spaceship"})),
        (400, await http.get("/services", params={"createdAfter": "yesterday"})),
        (400, await http.get("/logs")),
        (400, await http.get("/logs/subscribe")),
        (400, await http.get("/metrics/cpu")),
        (400, await http.get("/metrics/cpu", params={"resource": id, "resolutionSeconds": "5"})),
        (400, await http.post(f"/services/{id}/deploys", json={"clearCache": "perhaps"})),
        (400, await http.post(f"/services/{id}/deploys", content=b"{", headers={"Content-Type": "application/json"})),
        (415, await http.post(f"/services/{id}/deploys", content=b"a=1", headers={"Content-Type": "text/plain"})),
        (413, await http.put(f"/services/{id}/env-vars/A", json={"value": many})),
        (400, await http.put(f"/services/{id}/env-vars/1A", json={"value": "x"})),
        (400, await http.put(f"/services/{id}/env-vars/A", json={"value": 5})),
        (400, await http.put(f"/services/{id}/env-vars", json=[{"key": "A", "value": "1"}, {"key": "A", "value": "2"}])),
        (400, await http.patch(f"/services/{id}", json={"autoDeploy": "sometimes"})),
        (400, await http.patch(f"/services/{id}", json={"serviceDetails": {"maxShutdownDelaySeconds": 301}})),
        (400, await http.post(f"/services/{id}/rollback", json={})),
        (409, await http.post(f"/services/{id}/restart")),
    ]  # fmt: skip
    assert [each.status_code for _, each in answers] == [status for status, _ in answers]
    assert all(set(each.json()) == {"id", "message"} for _, each in answers)


async def test_a_deploy_needs_no_body(http: httpx.AsyncClient, workspace: FakeWorkspace) -> None:
    answer = await http.post(f"/services/{workspace.add('chatbot').id}/deploys")
    assert (answer.status_code, answer.json()["trigger"]) == (201, "api")


async def test_what_nobody_expected_is_500_and_the_next_call_is_answered(
    http: httpx.AsyncClient, workspace: FakeWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    id = workspace.add("chatbot").id
    workspace.held[id] = None  # type: ignore[assignment]
    broken = await http.get(f"/services/{id}")
    assert (broken.status_code, broken.json()["message"]) == (500, "Internal Server Error")
    assert "sim.api.failed" in caplog.text
    assert KEY not in caplog.text
    assert (await http.get("/owners")).status_code == 200


# --- pages ------------------------------------------------------------------------------------------------------------


async def test_a_list_is_read_whole_through_its_cursors(http: httpx.AsyncClient, workspace: FakeWorkspace) -> None:
    for n in range(7):
        workspace.add(f"service-{n}")
    seen, cursor = [], {}
    while page := (await http.get("/services", params={"limit": "3", **cursor})).json():
        seen += [each["service"]["name"] for each in page]
        cursor = {"cursor": page[-1]["cursor"]}
        workspace.add(f"later-{len(seen)}", owner=1)
    assert seen == [f"service-{n}" for n in range(7)]


async def test_filters_are_read_in_both_spellings(http: httpx.AsyncClient, workspace: FakeWorkspace) -> None:
    for name in ("a", "b", "c"):
        workspace.add(name)
    by_comma = (await http.get("/services?name=a,b")).json()
    repeated = (await http.get("/services?name=a&name=b")).json()
    assert (
        [each["service"]["name"] for each in by_comma] == [each["service"]["name"] for each in repeated] == ["a", "b"]
    )


async def test_a_time_may_be_rfc_3339_or_an_epoch(http: httpx.AsyncClient, workspace: FakeWorkspace) -> None:
    service = workspace.add("chatbot")
    now = datetime.now(UTC)
    workspace.say(service.id, "old", at=now - timedelta(hours=3))
    asked = {"ownerId": service.owner_id, "resource": service.id}
    found = []
    for start in (str(int(now.timestamp()) - 4 * 3600), (now - timedelta(hours=4)).isoformat(), None):
        page = (await http.get("/logs", params={**asked, **({"startTime": start} if start else {})})).json()
        found.append([each["message"] for each in page["logs"]])
    assert found == [["old"], ["old"], []], "the last hour, when nothing is said"


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_who_asks_too_often_is_told_when_to_come_back(workspace: FakeWorkspace) -> None:
    a, b = workspace.add("a").id, workspace.add("b").id
    clock = FakeClock()
    async with served(workspace, limits=Limits(reads=3, writes=2, per_service=1), clock=clock) as api:
        async with httpx.AsyncClient(base_url=api.url, headers=BEARER, trust_env=False) as http:
            reads = [await http.get("/services") for _ in range(4)]
            assert [each.headers["ratelimit-remaining"] for each in reads] == ["2", "1", "0", "0"]
            assert [each.status_code for each in reads] == [200, 200, 200, 429]
            assert (reads[3].headers["retry-after"], reads[3].headers["ratelimit-limit"]) == ("60", "3")
            deploys = [(await http.post(f"/services/{id}/deploys")).status_code for id in (a, a, b)]
            assert deploys == [201, 429, 201], "of each service on its own"
            writes = [(await http.put(f"/services/{a}/env-vars/A", json={"value": "1"})).status_code for _ in range(3)]
            assert writes == [200, 200, 429]
            other = await http.get("/services", headers={"Authorization": "Bearer another-key"})
            assert other.status_code == 200, "each key has its own"
            await clock.advance(59)
            assert (await http.get("/services")).headers["retry-after"] == "1"
            await clock.advance(1)
            assert (await http.get("/services")).status_code == 200


def test_the_limits_are_the_documented_ones() -> None:
    meter = Meter(Limits())
    reads = [meter.count("own-1", "GET", "/services", 0.0).is_over for _ in range(401)]
    writes = [meter.count("own-1", "PUT", "/services/srv-1/env-vars/A", 0.0).is_over for _ in range(31)]
    deploys = [meter.count("own-1", "POST", "/services/srv-1/deploys", 0.0).is_over for _ in range(11)]
    assert (reads.index(True), writes.index(True), deploys.index(True)) == (400, 30, 10)


@given(calls=st.lists(st.floats(0, 200), max_size=200), limit=st.integers(1, 20))
def test_no_window_ever_lets_more_through_than_its_limit(calls: list[float], limit: int) -> None:
    meter, passed = Meter(Limits(reads=limit)), []
    for now_s in sorted(calls):
        standing = meter.count("own-1", "GET", "/services", now_s)
        assert 0 <= standing.remaining < limit
        assert 1 <= standing.reset_s <= 60
        if not standing.is_over:
            passed.append(now_s)
    for at in passed:
        # Windows begin with a first call and do not overlap, so any stretch of one window's length touches two of them at most.
        assert sum(at <= each < at + 60 for each in passed) <= 2 * limit


# --- log lines as they come -------------------------------------------------------------------------------------------


def _ws(api: Served, **params: str) -> str:
    return f"ws{api.url.removeprefix('http')}/logs/subscribe?" + "&".join(f"{k}={v}" for k, v in params.items())


async def _until(claim: object) -> None:
    assert callable(claim)
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.01)


async def test_new_lines_are_sent_as_they_come(api: Served, workspace: FakeWorkspace) -> None:
    service = workspace.add("chatbot")
    url = _ws(api, ownerId=service.owner_id, resource=service.id, level="error")
    async with connect(url, additional_headers=BEARER, proxy=None) as line:
        await _until(lambda: workspace.waiting)
        workspace.say(service.id, "not this one")
        workspace.say(service.id, "this one", level="error", instance=f"{service.id}-00001")
        frame = json.loads(await line.recv())
    labels = {each["name"]: each["value"] for each in frame["labels"]}
    assert frame["message"] == "this one"
    assert labels == {"resource": service.id, "instance": f"{service.id}-00001", "level": "error", "type": "app"}
    assert WHERE is None or mistakes("GET", "/logs/subscribe", 101, json.dumps(frame).encode()) == []
    await _until(lambda: not workspace.waiting)


async def test_whoever_may_not_subscribe_is_told_in_http(api: Served, workspace: FakeWorkspace) -> None:
    service = workspace.add("chatbot")
    asked = [
        (401, _ws(api, ownerId=service.owner_id, resource=service.id), {}),
        (400, _ws(api, ownerId=service.owner_id), BEARER),
        (404, _ws(api, ownerId=service.owner_id, resource="srv-none"), BEARER),
    ]
    for status, url, headers in asked:
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(url, additional_headers=headers, proxy=None):
                pass
        assert refusal.value.response.status_code == status
        assert set(json.loads(refusal.value.response.body or b"")) == {"id", "message"}


async def test_open_log_lines_do_not_hold_up_the_end(workspace: FakeWorkspace) -> None:
    service = workspace.add("chatbot")
    async with served(workspace) as api:
        url = _ws(api, ownerId=service.owner_id, resource=service.id)
        line = await connect(url, additional_headers=BEARER, proxy=None)
        began_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began_s < 5
    await asyncio.wait_for(line.wait_closed(), 5)


# --- drills -----------------------------------------------------------------------------------------------------------


class _Drills:
    def __init__(self) -> None:
        self.fired: list[tuple[str, str]] = []

    def listed(self) -> Sequence[Mapping[str, object]]:
        return [{"how": "hang", "what": "the process", "cause": "unresponsive", "remedy": "restart"}]

    def broken(self, owner_id: str) -> Mapping[str, str]:
        return dict(self.fired)

    async def fire(self, service_id: str, how: str) -> Mapping[str, object]:
        if how != "hang":
            raise Refused(404, f"no drill {how}")
        self.fired.append((service_id, how))
        return {"did": "stopped the process"}

    def state(self, owner_id: str) -> Mapping[str, object]:
        return {"speed": 60}


async def test_drills_are_listed_fired_and_told(workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot").id
    async with served(workspace, drills=_Drills()) as api:
        async with httpx.AsyncClient(base_url=api.url.replace("/v1", "/sim"), headers=BEARER, trust_env=False) as http:
            fired = await http.post("/drills", json={"service": "chatbot", "how": "hang"})
            unknown = await http.post("/drills", json={"service": "chatbot", "how": "sing"})
            nobody = await http.post("/drills", json={"service": "chatbox", "how": "hang"})
            listed = (await http.get("/drills")).json()
            state = (await http.get("/state")).json()
    assert (fired.status_code, fired.json()) == (200, {"did": "stopped the process"})
    assert (unknown.status_code, nobody.status_code) == (404, 404)
    assert "chatbot" in nobody.json()["message"]
    assert (listed["broken"], listed["drills"][0]["how"]) == ({id: "hang"}, "hang")
    assert (state["speed"], state["hours_used"], state["services"]["chatbot"]["id"]) == (60, 12.5, id)


# --- the check itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/owners", 200, b'[{"owner": {"id": 5}, "cursor": "x"}]'),
        ("GET", "/services/srv-1/deploys/dep-1", 200, b'{"status": "flying", "id": "dep-1"}'),
        ("POST", "/services/srv-1/suspend", 202, b"{}"),
        ("GET", "/services/srv-1", 418, b"{}"),
        ("GET", "/services/srv-1", 404, b'{"detail": "no"}'),
        ("GET", "/spaceships", 200, b"[]"),
    ],
)
def test_the_check_against_the_description_finds_what_is_wrong(
    method: str, path: str, status: int, body: bytes
) -> None:
    assert WHERE is None or mistakes(method, path, status, body)


async def test_answers_are_held_against_the_description_where_it_is(api: Served, http: httpx.AsyncClient) -> None:
    await http.get("/owners")
    assert isinstance(api.held, Held)
    assert api.held.checked == (0 if WHERE is None else 1)


# --- anything at all --------------------------------------------------------------------------------------------------

_WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(
        ["limit", "cursor", "createdAfter", "type", "name", "suspended", "ownerId", "resource", "startTime"]
    ),
    said=_WORDS,
    path=st.sampled_from(["/services", "/owners", "/env-groups", "/logs", "/metrics/cpu", "/logs/values"]),
)
async def test_no_query_makes_it_fail(http: httpx.AsyncClient, name: str, said: str, path: str) -> None:
    answer = await http.get(path, params={name: said})
    assert answer.status_code in (200, 400, 404)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | _WORDS, lambda x: st.lists(x) | st.dictionaries(_WORDS, x)
    )
)
async def test_no_body_makes_it_fail(http: httpx.AsyncClient, workspace: FakeWorkspace, body: object) -> None:
    id = next(iter(workspace.held), None) or workspace.add("chatbot").id
    asked = [
        await http.put(f"/services/{id}/env-vars", json=body),
        await http.put(f"/services/{id}/env-vars/A", json=body),
        await http.patch(f"/services/{id}", json=body),
        await http.post(f"/services/{id}/rollback", json=body),
        await http.post("/env-groups", json=body),
    ]
    workspace.groups.clear()
    assert {each.status_code for each in asked} <= {200, 400}
