"""Every address of the API, over real HTTP: its body as the contract has it, and what it says when it says no."""

from datetime import timedelta

import pytest

from everwake.model import Action, Incident, Level, State
from tests.everwake.web.serve import site
from tests.support.fake_clock import FakeClock
from tests.support.fake_door import NOW, REFUSED, FakeDoor, look, view

OPENED = Incident(
    id="inc-1", service="chatbot", opened_at=NOW, cause=None, first=look("chatbot", failure=REFUSED, status=None)
)  # fmt: skip


async def test_the_fleet_tells_state_counts_next_look_and_every_service() -> None:
    async with site("chatbot", "backend") as here:
        here.door.set("backend", state=State.DOWN, next_check_at=NOW)
        body = await here.get("/api/v1/fleet")
        assert {key: value for key, value in body.items() if key != "services"} == {
            "name": "blabbin",
            "state": "down",
            "sentence": "Backend is down; the other one is as it should be.",
            "monitoring": True,
            "counts": {"up": 1, "down": 1},
            "next_check_at": "2026-01-01T11:30:00.000Z",
            "trouble": [],
            "repairs": {"stopped": False, "by": None, "at": None},
        }
        assert [service["name"] for service in body["services"]] == ["chatbot", "backend"]


async def test_a_service_is_told_whole() -> None:
    async with site("chatbot") as here:
        here.door.set("chatbot", state=State.DOWN, failure=REFUSED, latency_ms=None, status=None, incident="inc-1")
        body = await here.get("/api/v1/services/chatbot")
        strip = body.pop("strip")
        assert body == {
            "name": "chatbot", "title": "Chatbot", "url": "https://chatbot.example", "group": None, "state": "down",
            "since": "2026-01-01T09:30:00.000Z", "cause": None,
            "failure": {"kind": "refused", "phase": "connect", "detail": "nobody listens"},
            "latency_ms": None, "status": None, "checked_at": "2026-01-01T11:30:00.000Z",
            "next_check_at": "2026-01-01T11:33:00.000Z", "checking": False,
            "heartbeat": {
                "connected": True, "connected_at": "2026-01-01T11:30:00.000Z", "last_beat_at": "2026-01-01T11:30:00.000Z",
                "missed": 0,
            },
            "uptime": {"24h": 1.0, "7d": 0.99987, "30d": 0.5, "90d": None}, "incident": "inc-1",
            "awake": "always", "rests": False, "turns_at": None,
        }  # fmt: skip
        assert strip["at"] == "2026-01-01T11:30:00.000Z"
        assert strip["ago_s"][-2:] == [180, 0]
        assert (strip["states"], strip["ms"]) == ("u" * 60, [300] * 60)


async def test_a_service_never_seen_is_told_without_guessing() -> None:
    async with site("a") as here:
        here.door.set("a", state=State.UNKNOWN, since=None, latency_ms=None, status=None, checked_at=None, strip=())
        body = await here.get("/api/v1/services/a")
        assert (body["state"], body["latency_ms"], body["checked_at"]) == ("unknown", None, None)
        assert body["strip"] == {"at": None, "ago_s": [], "states": "", "ms": []}


async def test_services_come_in_pages() -> None:
    async with site("a", "b", "c") as here:
        first = await here.get("/api/v1/services?limit=2")
        assert ([one["name"] for one in first["items"]], first["next"]) == (["a", "b"], "b")
        second = await here.get(f"/api/v1/services?limit=2&cursor={first['next']}")
        assert ([one["name"] for one in second["items"]], second["next"]) == (["c"], None)
        assert len((await here.get("/api/v1/services"))["items"]) == 3


async def test_looks_of_a_span_come_oldest_first_and_in_pages() -> None:
    async with site("chatbot") as here:
        here.door.seen = [look("chatbot", NOW + timedelta(minutes=n)) for n in range(5)]
        path = "/api/v1/services/chatbot/observations?since=2026-01-01T11:31:00Z&until=2026-01-01T11:34:00Z&limit=2"
        first = await here.get(path)
        assert [one["at"][11:16] for one in first["items"]] == ["11:31", "11:32"]
        assert first["resolution"] == "raw"
        assert first["items"][0] == {
            "at": "2026-01-01T11:31:00.000Z", "check": "http", "ok": True, "status": 200, "took_ms": 300.0, "late_ms": 0.0,
            "failure": None, "phases_ms": {"dns": 10.0}, "headers": {"server": "x"}, "excerpt": "",
            "certificate_expires_at": None, "redirects": 0,
        }  # fmt: skip
        second = await here.get(f"{path}&cursor={first['next']}")
        assert ([one["at"][11:16] for one in second["items"]], second["next"]) == (["11:33"], None)


async def test_looks_are_those_of_the_last_day_unless_asked_otherwise() -> None:
    clock = FakeClock(NOW)
    async with site("chatbot", clock=clock) as here:
        here.door.seen = [look("chatbot", NOW - timedelta(hours=hours)) for hours in (30, 23, 1)]
        body = await here.get("/api/v1/services/chatbot/observations")
        assert len(body["items"]) == 2


@pytest.mark.parametrize(
    ("query", "resolution"),
    [
        ("since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z", "raw"),
        ("since=2026-01-01T00:00:00Z&until=2026-01-08T00:00:00Z", "hour"),
        ("since=2026-01-01T00:00:00Z&until=2026-04-01T00:00:00Z", "day"),
        ("since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z&resolution=day", "day"),
        ("since=2026-01-01T00:00:00+01:00&until=2026-01-02T00:00:00%2B01:00", "raw"),
    ],
)
async def test_the_longer_the_span_the_coarser_it_is_told(query: str, resolution: str) -> None:
    async with site("chatbot") as here:
        body = await here.get(f"/api/v1/services/chatbot/observations?{query}")
        assert body["resolution"] == resolution
        if resolution != "raw":
            assert body["items"][0] == {
                "at": "2026-01-01T11:30:00.000Z", "looks": 20, "failed": 1, "uptime": 0.95, "p50_ms": 300.0, "p95_ms": 400.0,
                "p99_ms": None, "max_ms": None,
            }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/services/chatbot/observations?since=yesterday", "since"),
        ("/api/v1/services/chatbot/observations?since=2026-01-01T00:00:00", "since"),
        ("/api/v1/services/chatbot/observations?until=0001-01-01T00:00:00Z", "until"),
        ("/api/v1/services/chatbot/observations?since=0001-01-01T00:00:00%2B23:00", "since"),
        ("/api/v1/services/chatbot/observations?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "since"),
        ("/api/v1/services/chatbot/observations?resolution=minute", "resolution"),
        ("/api/v1/services/chatbot/observations?cursor=x", "cursor"),
        ("/api/v1/incidents?cursor=x", "cursor"),
        ("/api/v1/incidents?limit=0", "limit"),
        ("/api/v1/log?limit=99999", "limit"),
        ("/api/v1/log?cursor=", "cursor"),
        ("/api/v1/log?cursor=x", "cursor"),
        ("/api/v1/services?cursor=nobody", "cursor"),
        ("/api/v1/services?limit=²", "limit"),
    ],
)
async def test_a_question_that_makes_no_sense_is_answered_with_what_is_wrong(path: str, named: str) -> None:
    async with site("chatbot") as here:
        answer = await here.client.get(path)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (422, "invalid_request")
        assert body["detail"].startswith(f"`{named}` ")


async def test_ping_now_starts_a_look_and_does_not_wait() -> None:
    async with site("chatbot") as here:
        assert await here.post("/api/v1/services/chatbot/check", 202) == {"looks": 1}
        assert here.door.asked["check chatbot"] == 1


async def test_ping_now_waits_for_what_is_seen_when_asked_to() -> None:
    async with site("chatbot") as here:
        body = await here.post("/api/v1/services/chatbot/check?wait=5")
        assert (body["observation"]["status"], body["service"]["name"]) == (200, "chatbot")
        here.door.answers_looks = False
        assert await here.post("/api/v1/services/chatbot/check?wait=1", 202) == {"looks": 1}
        assert (await here.post("/api/v1/services/chatbot/check?wait=-1", 422))["code"] == "invalid_request"


async def test_ping_all_now_looks_at_everything() -> None:
    async with site("chatbot", "backend") as here:
        assert await here.post("/api/v1/checks", 202) == {"looks": 2}
        assert here.door.asked["check backend"] == 1


async def test_start_and_stop_say_whether_they_changed_anything() -> None:
    async with site() as here:
        assert await here.post("/api/v1/monitoring/stop") == {"monitoring": False, "changed": True}
        assert await here.post("/api/v1/monitoring/stop") == {"monitoring": False, "changed": False}
        assert (await here.get("/api/v1/fleet"))["sentence"] == "Monitoring is stopped."
        assert await here.post("/api/v1/monitoring/start") == {"monitoring": True, "changed": True}


async def test_incidents_come_newest_first_and_one_by_its_id() -> None:
    action = Action(at=NOW, remedy="restart", step="restart", by="keeper", outcome="done")
    closed = Incident(
        id="inc-0", service="backend", opened_at=NOW - timedelta(days=1), closed_at=NOW, cause="oom", actions=(action,)
    )
    async with site() as here:
        here.door.tell(closed)
        here.door.tell(OPENED)
        body = await here.get("/api/v1/incidents?limit=1")
        assert [one["id"] for one in body["items"]] == ["inc-1"]
        older = await here.get(f"/api/v1/incidents?limit=1&cursor={body['next']}")
        assert ([one["id"] for one in older["items"]], older["next"]) == (["inc-0"], None)
        assert [one["id"] for one in (await here.get("/api/v1/incidents?service=backend"))["items"]] == ["inc-0"]
        one = await here.get("/api/v1/incidents/inc-0")
        assert one["opened_at"] == "2025-12-31T11:30:00.000Z"
        assert one["closed_at"] == "2026-01-01T11:30:00.000Z"
        assert one["actions"] == [
            {
                "at": "2026-01-01T11:30:00.000Z",
                "remedy": "restart",
                "step": "restart",
                "by": "keeper",
                "outcome": "done",
            }
        ]
        assert one["proof"] == {"proved": False, "criteria": []}
        assert one["diagnosis"]["causes"][0]["cause"] == "oom"


async def test_the_log_comes_newest_first() -> None:
    async with site() as here:
        for n in range(3):
            here.door.say(f"line {n}", level=Level.SUCCESS, service="chatbot")
        body = await here.get("/api/v1/log?limit=2")
        assert [one["text"] for one in body["items"]] == ["line 2", "line 1"]
        assert body["items"][0] == {
            "at": "2026-01-01T11:30:03.000Z", "level": "success", "text": "line 2", "service": "chatbot",
        }  # fmt: skip
        assert [one["text"] for one in (await here.get(f"/api/v1/log?cursor={body['next']}"))["items"]] == ["line 0"]


async def test_a_diagnosis_is_honest_about_what_is_not_known() -> None:
    async with site("chatbot") as here:
        assert (await here.get("/api/v1/services/chatbot/diagnosis"))["causes"] == []
        here.door.tell(OPENED)
        here.door.set("chatbot", state=State.DOWN, failure=REFUSED, status=None, incident="inc-1")
        body = await here.get("/api/v1/services/chatbot/diagnosis")
        assert (body["id"], body["state"], body["ruled_out"], body["variables"]) == ("chatbot", "down", [], [])
        (cause,) = body["causes"]
        assert (cause["cause"], cause["sure"]) == ("unknown", None)
        assert {"from": "keeper.failure", "quote": "refused in connect: nobody listens"} in cause["evidence"]
        assert {"from": "http.headers.server", "quote": "x"} in cause["evidence"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/services/nobody", 404, "service_not_found"),
        ("GET", "/api/v1/services/nobody/observations", 404, "service_not_found"),
        ("GET", "/api/v1/services/nobody/diagnosis", 404, "service_not_found"),
        ("POST", "/api/v1/services/nobody/check", 404, "service_not_found"),
        ("POST", "/api/v1/services/nobody/remedy", 404, "service_not_found"),
        ("GET", "/api/v1/incidents/nothing", 404, "incident_not_found"),
        ("GET", "/badge/nobody.svg", 404, "service_not_found"),
        ("GET", "/static/../app.py", 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/fleet/", 404, "not_found"),
        ("POST", "/api/v1/fleet", 405, "method_not_allowed"),
        ("DELETE", "/api/v1/services/chatbot", 405, "method_not_allowed"),
        ("GET", "/api/v1/checks", 405, "method_not_allowed"),
    ],
)
async def test_every_no_is_a_problem_document(method: str, path: str, status: int, code: str) -> None:
    async with site() as here:
        answer = await here.client.request(method, path)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["type"] == f"urn:everwake:problem:{code}"
        assert body["status"] == status
        assert body["title"]
        assert body["detail"]


async def test_a_history_that_cannot_be_read_hides_only_the_past() -> None:
    async with site() as here:
        here.door.tell(OPENED)
        here.door.has_history = False
        for path in ("/api/v1/log", "/api/v1/incidents", "/api/v1/services/chatbot/observations"):
            answer = await here.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "history_unavailable")
            assert answer.headers["retry-after"] == "5"
        assert (await here.get("/api/v1/fleet"))["state"] == "up"
        assert (await here.get("/api/v1/incidents/inc-1"))["id"] == "inc-1"
        assert (await here.client.get("/status")).status_code == 200


async def test_a_keeper_starts_to_answer_while_its_history_is_broken() -> None:
    door = FakeDoor("chatbot")
    door.has_history = False
    async with site(door=door) as here:
        assert (await here.get("/api/v1/fleet"))["services"][0]["uptime"]["24h"] is None


async def test_what_nobody_expected_is_a_problem_document_too() -> None:
    class Broken(FakeDoor):
        def check_all(self) -> int:
            raise ZeroDivisionError("secret detail")

    async with site(door=Broken("a")) as here:
        answer = await here.client.post("/api/v1/checks")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "secret" not in answer.text


async def test_somebody_elses_text_cannot_break_out_of_the_json() -> None:
    hostile = '</script><b>"\u2028\ud800'
    async with site("a") as here:
        here.door.views["a"] = view("a", cause=hostile)
        answer = await here.client.get("/api/v1/services/a")
        assert answer.content.isascii()
        assert answer.json()["cause"] == hostile


async def test_health_says_that_the_keeper_runs() -> None:
    async with site() as here:
        here.door.set("chatbot", state=State.DOWN)
        body = await here.get("/health")
        assert (body["status"], body["service"], body["monitoring"]) == ("healthy", "everwake", True)
        assert (await here.client.head("/health")).status_code == 200
