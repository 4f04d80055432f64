"""Mending from the page: the plan first, a yes, the steps as they go, what proved it, and the red switch."""

from dataclasses import replace

import pytest

from everwake.model import Action, Criterion, Proof, RunState, State, StepState
from everwake.remedy.plan import Act, AskHuman
from everwake.remedy.standing import Planned
from everwake.remedy.steps import Do, step
from tests.support.browser import OpenPage, browser, open_page
from tests.support.fake_keeper import FakeKeeper, ago, fake_keeper

__all__ = ["browser", "open_page"]

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PLAN = Act(
    playbook="fix-variables", cause="bad_env_var", why="BACKEND_CORS_ORIGINS, column 88: <b>text</b> after the list",
    about="BACKEND_CORS_ORIGINS", steps=(step(Do.WRITE_VARIABLES, "mend BACKEND_CORS_ORIGINS"), step(Do.DEPLOY, "deploy")),
    costs="one deploy", proved_by="it answers", deploys=1,
)  # fmt: skip
PROOF = Proof(criteria=(Criterion(name="cause_gone", met=True, said="bad_env_var is not found any more"),))

SOAK = Proof(
    criteria=(
        Criterion(name="uptime", met=True, said="up for 15 min"),
        Criterion(name="log", met=None, said="there is no key"),
    )
)


def went(
    keeper: FakeKeeper, *states: StepState, state: RunState = RunState.RUNNING, proof: Proof | None = None
) -> None:
    """The remedy has come so far."""
    known = keeper.repairs["chatbot"]
    assert known.run is not None
    steps = tuple(replace(one, state=now, said="so") for one, now in zip(known.run.steps, states, strict=True))
    keeper.repairs["chatbot"] = replace(known, run=replace(known.run, steps=steps, state=state, proof=proof))


async def test_the_plan_is_shown_first_then_each_step_then_what_proved_it(open_page: OpenPage) -> None:
    async with fake_keeper() as keeper:
        incident = keeper.fall("chatbot", cause="bad_env_var")
        keeper.planned["chatbot"] = Planned(decision=PLAN)
        page = await open_page(keeper.url)
        assert await page.locator("[data-service=backend]").get_by_role("button", name="Fix").count() == 0
        fix = page.get_by_role("button", name="Fix: Chatbot")
        await fix.focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Fix Chatbot")
        await dialog.get_by_text("<b>text</b> after the list").wait_for()
        assert await dialog.locator("b", has_text="text").count() == 0
        listed = [" ".join(text.split()) for text in await dialog.locator(".steps li").all_inner_texts()]
        assert listed == ["○ to come: mend BACKEND_CORS_ORIGINS", "○ to come: deploy"]
        assert not [one for one in keeper.asked if one.startswith("begin")]
        assert await page.evaluate("document.activeElement.id") == "repair-yes"
        await page.keyboard.press("Enter")
        await dialog.get_by_role("status").get_by_text("Under way").wait_for()
        assert keeper.asked["begin chatbot by the page"] == 1
        went(keeper, StepState.DONE, StepState.INTENDED)
        await dialog.get_by_text("mend BACKEND_CORS_ORIGINS · so").wait_for()
        went(keeper, StepState.DONE, StepState.DONE, state=RunState.PROVED, proof=PROOF)
        await dialog.get_by_text("Repaired, and proved").wait_for()
        await dialog.get_by_text("bad_env_var is not found any more").wait_for()
        did = Action(at=ago(seconds=2), remedy="fix-variables", step="deploy", by="keeper", outcome="dep-1")
        keeper.tell(replace(incident, actions=(did,), proof=PROOF))
        keeper.set("chatbot", state=State.UP, failure=None)
        await page.keyboard.press("Escape")
        await dialog.wait_for(state="hidden")
        story = page.locator("#stories")
        await story.get_by_text("cause gone").wait_for()
        assert "deploy: dep-1" in await story.inner_text()
        await fix.wait_for(state="hidden")
        known = keeper.repairs["chatbot"]
        assert known.run is not None
        keeper.repairs["chatbot"] = replace(known, run=replace(known.run, soak=SOAK))
        await page.get_by_role("link", name="Details: Chatbot").click()
        last = page.locator("#details .part", has=page.get_by_role("heading", name="Last repair"))
        await last.get_by_text("up for 15 min").wait_for()
        listed = [" ".join(text.split()) for text in await last.locator(".steps li").all_inner_texts()]
        assert listed[-2:] == ["✓ done: uptime · up for 15 min", "? not shown: log · there is no key"]


async def test_what_needs_a_person_offers_no_button_to_do_it(open_page: OpenPage) -> None:
    async with fake_keeper() as keeper:
        keeper.fall("chatbot", cause="suspended_free_quota")
        keeper.planned["chatbot"] = Planned(
            decision=AskHuman(cause="suspended_free_quota", reason="no machine can cure it", next="Buy a plan.")
        )
        page = await open_page(keeper.url)
        await page.get_by_role("button", name="Fix: Chatbot").click()
        dialog = page.get_by_role("dialog", name="Fix Chatbot")
        await dialog.get_by_text("Buy a plan.").wait_for()
        assert await dialog.get_by_role("button").all_inner_texts() == ["Close"]


async def test_why_shows_the_causes_with_their_evidence(open_page: OpenPage) -> None:
    async with fake_keeper() as keeper:
        keeper.fall("chatbot", cause="bad_env_var")
        page = await open_page(keeper.url)
        await page.get_by_role("link", name="Why?: Chatbot").click()
        dialog = page.get_by_role("dialog", name="Chatbot")
        await dialog.get_by_role("heading", name="Why").wait_for()
        assert "bad env var" in await dialog.inner_text()


async def test_the_red_switch_is_seen_undone_and_told_on_every_page(open_page: OpenPage) -> None:
    async with fake_keeper() as keeper:
        one, other = await open_page(keeper.url), await open_page(keeper.url)
        await one.get_by_role("button", name="Stop repairs").click()
        await other.get_by_text("All repairs were stopped by the page").wait_for()
        assert keeper.red.is_stopped
        await other.get_by_role("button", name="Allow repairs").click()
        await one.get_by_role("button", name="Stop repairs").wait_for()
        assert not keeper.red.is_stopped
        await one.get_by_text("All repairs were stopped").wait_for(state="hidden")
