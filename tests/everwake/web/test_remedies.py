"""The endpoints of repairs: the plan, the yes, how it goes, and the red switch."""

from everwake.model import StepState
from everwake.remedy.plan import Act, AskHuman
from everwake.remedy.standing import Planned
from everwake.remedy.steps import Do, step
from tests.everwake.web.serve import site

PLAN = Act(
    playbook="fix-variables", cause="bad_env_var", why="BACKEND_CORS_ORIGINS, column 88: text after the list",
    about="BACKEND_CORS_ORIGINS",
    steps=(step(Do.WRITE_VARIABLES, "mend BACKEND_CORS_ORIGINS", keys="BACKEND_CORS_ORIGINS"), step(Do.DEPLOY, "deploy")),
    costs="one deploy", proved_by="it answers", deploys=1,
)  # fmt: skip
REMEDY = "/api/v1/services/chatbot/remedy"


async def test_the_plan_is_shown_and_nothing_is_begun() -> None:
    async with site("chatbot") as here:
        here.door.planned["chatbot"] = Planned(decision=PLAN)
        answer = await here.client.post(REMEDY, json={"plan": True})
        body = answer.json()
        assert (answer.status_code, body["decision"], body["refused"]) == (200, "act", None)
        assert body["plan"]["remedy"] == "fix-variables"
        assert [one["says"] for one in body["plan"]["steps"]] == ["mend BACKEND_CORS_ORIGINS", "deploy"]
        assert not [asked for asked in here.door.asked if asked.startswith("begin")]


async def test_a_yes_begins_and_is_signed() -> None:
    async with site("chatbot") as here:
        here.door.planned["chatbot"] = Planned(decision=PLAN)
        answer = await here.client.post(REMEDY, json={"yes": True, "by": "ada\x1b[2J at a terminal"})
        assert answer.status_code == 202
        assert answer.json()["run"]["state"] == "running"
        assert here.door.asked["begin chatbot by ada[2J at a terminal"] == 1
        told = await here.get(REMEDY)
        assert (told["run"]["by"], told["run"]["steps"][0]["state"]) == (
            "ada[2J at a terminal",
            StepState.PLANNED.value,
        )


async def test_what_only_a_person_can_do_is_said_and_not_begun() -> None:
    async with site("chatbot") as here:
        ask = AskHuman(cause="suspended_free_quota", reason="no machine can cure it", next="Buy a plan.")
        here.door.planned["chatbot"] = Planned(decision=ask)
        body = (await here.client.post(REMEDY, json={"plan": True})).json()
        assert (body["decision"], body["next"], body["plan"]) == ("ask", "Buy a plan.", None)
        answer = await here.client.post(REMEDY, json={"yes": True})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_begun")


async def test_a_request_that_says_neither_or_both_is_refused() -> None:
    async with site("chatbot") as here:
        for body in ({}, {"plan": True, "yes": True}, {"yes": "true"}, {"yes": 1}, {"plan": False}):
            answer = await here.client.post(REMEDY, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "plan_or_yes"), body
        for raw in (b"[1]", b"{", b"nonsense", b"[" * 10_000):
            answer = await here.client.post(REMEDY, content=raw)
            assert (answer.status_code, answer.json()["code"]) == (422, "body_not_json"), raw[:20]


async def test_another_sites_page_may_neither_repair_nor_stop() -> None:
    async with site("chatbot") as here:
        for path in (REMEDY, "/api/v1/repairs/stop", "/api/v1/repairs/start"):
            answer = await here.client.post(path, json={"yes": True}, headers={"Origin": "https://evil.example"})
            assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")


async def test_the_red_switch_is_put_undone_and_seen_in_the_fleet() -> None:
    async with site("chatbot") as here:
        answer = await here.client.post("/api/v1/repairs/stop", json={"by": "ada"})
        assert (answer.json()["stopped"], answer.json()["changed"], answer.json()["by"]) == (True, True, "ada")
        assert (await here.client.post("/api/v1/repairs/stop")).json()["changed"] is False
        assert (await here.get("/api/v1/fleet"))["repairs"]["stopped"] is True
        assert (await here.get("/api/v1/repairs"))["stopped"] is True
        assert (await here.client.post("/api/v1/repairs/start")).json()["stopped"] is False
        assert (await here.get("/api/v1/fleet"))["repairs"]["stopped"] is False
