"""The keeper's page in Chromium, against the real web app and a keeper moved by hand."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.async_api import Locator, Page, expect

from everwake.fleet.schema import Keeper, Secret
from everwake.model import Cause, Diagnosis, Evidence, Failure, FailureKind, Level, Phase, State, VariableProblem
from tests.support.browser import OpenPage
from tests.support.fake_keeper import FakeKeeper, ago, fake_keeper, strip_of

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]


def sentence(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("article", name=title, exact=True)


def press(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def countdown(page: Page) -> Locator:
    return page.get_by_role("timer")


def log(page: Page) -> Locator:
    return page.get_by_role("log")


async def test_the_sentence_comes_first_and_each_service_has_a_card_with_what_is_known(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    await expect(sentence(page)).to_have_text("All three services are up.")
    await expect(page.get_by_role("article")).to_have_count(3)
    chatbot = card(page, "Chatbot")
    for text in ("● Up", "chatbot.onrender.com", "since 6 d 4 h", "312 ms", "100 %", "99.96 %", "s ago"):
        await expect(chatbot).to_contain_text(text)
    await expect(chatbot.get_by_role("img", name="Last 60 looks: 60 up")).to_be_visible()
    await expect(card(page, "Redis")).to_contain_text("heartbeat–")
    await expect(page).to_have_title("● blabbin · Everwake")
    await expect(countdown(page)).to_have_text(re.compile(r"in [12]:\d\d"))
    await expect(log(page)).to_contain_text("Chatbot heartbeat (service alive)")


async def test_start_is_disabled_while_running_stop_while_stopped_and_stopped_the_countdown_shows_dashes(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    await expect(press(page, "Start")).to_be_disabled()
    await press(page, "Stop").click()
    await expect(press(page, "Stop")).to_be_disabled()
    await expect(press(page, "Start")).to_be_focused()
    await expect(countdown(page)).to_have_text("--")
    await expect(sentence(page)).to_have_text("Monitoring is stopped.")
    await expect(card(page, "Chatbot")).to_contain_text("❚❚ Paused")
    await expect(log(page)).to_contain_text("Architecture monitoring stopped")
    await page.keyboard.press("Enter")
    await expect(press(page, "Start")).to_be_disabled()
    await expect(countdown(page)).to_contain_text("in ")
    await expect(log(page)).to_contain_text("Architecture monitoring started")
    assert (keeper.asked["stop"], keeper.asked["start"]) == (1, 1)


async def test_one_service_or_all_of_them_are_pinged_on_request(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page(keeper.url)
    await press(page, "Ping now: Backend").click()
    await expect(card(page, "Backend")).to_contain_text("187 ms")
    await expect(card(page, "Chatbot")).to_contain_text("312 ms")
    assert dict(keeper.asked) == {"check backend": 1}
    await press(page, "Ping all now").click()
    await expect(card(page, "Chatbot")).to_contain_text("187 ms")
    assert keeper.asked["check all"] == 1


async def test_what_is_wrong_comes_first_takes_the_whole_width_and_shows_its_evidence(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url, viewport={"width": 1360, "height": 900})
    await expect(page.get_by_role("article")).to_have_count(3)
    width = (await card(page, "Redis").bounding_box() or {})["width"]
    keeper.fall("redis-service", cause="bad_env_var")
    await expect(sentence(page)).to_have_text("Redis is down; the other two are as they should be.")
    redis = card(page, "Redis").first
    for text in ("✕ Down", "down for 1 min", "bad_env_var", "answered 502", "x-render-routing: no-deploy"):
        await expect(redis).to_contain_text(text)
    await expect(page.locator("#cards article h3")).to_have_text(["Redis", "Chatbot", "Backend"])
    assert (await redis.bounding_box() or {})["width"] > 1.8 * width
    await expect(redis.get_by_role("img", name="Last 60 looks: 54 up, 6 down")).to_be_visible()
    await expect(page).to_have_title("✕ 1 down · blabbin · Everwake")


async def test_the_evidence_says_what_the_answer_said_and_then_what_the_diagnosis_found(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    incident = keeper.fall("redis-service")
    redis = card(page, "Redis")
    await expect(redis).to_contain_text("it says: <html>Bad gateway</html>")
    await expect(redis.locator("mark")).to_have_count(0)
    value = '["https://a.example"] -rsss'
    found = Diagnosis(
        state=State.DOWN,
        causes=(
            Cause(
                cause="bad_env_var", sure=0.97, next="everwake fix redis-service",
                evidence=(Evidence(source="variables.BACKEND_CORS_ORIGINS", quote=value),),
            ),
        ),
        variables=(
            VariableProblem(
                key="BACKEND_CORS_ORIGINS", problem="trailing_text", is_error=True, fix="remove it", column=22, found=" -rsss"
            ),
        ),
    )  # fmt: skip
    keeper.tell(replace(incident, diagnosis=found))
    await expect(redis).to_contain_text("BACKEND_CORS_ORIGINS · column 22")
    await expect(redis.locator("pre")).to_have_text(value)
    await expect(redis.locator("mark")).to_have_text(" -rsss")
    await expect(redis).to_contain_text("remove it")
    await expect(redis).not_to_contain_text("Bad gateway")
    keeper.tell(replace(incident, diagnosis=replace(found, variables=())))
    await expect(redis).to_contain_text(f"variables.BACKEND_CORS_ORIGINS: {value}")
    await expect(redis.locator("mark")).to_have_count(0)
    await expect(redis.locator(".told li")).to_have_text(
        [f"variables.BACKEND_CORS_ORIGINS: {value}", "next: everwake fix redis-service"]
    )
    unsure = Cause(
        cause="unknown", sure=0.2, next="everwake logs redis-service",
        evidence=(
            Evidence(source="http.status", quote="502"), Evidence(source="keeper.failure", quote="status in expect"),
        ),
    )  # fmt: skip
    keeper.tell(replace(incident, diagnosis=Diagnosis(state=State.DOWN, causes=(unsure,))))
    await expect(redis.locator(".told li")).to_have_text(
        ["it says: <html>Bad gateway</html>", "next: everwake logs redis-service"]
    )


async def test_the_incident_is_told_as_a_story_and_stays_as_one_that_was(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    incident = keeper.fall("chatbot", cause="bad_env_var")
    panel = page.get_by_role("region", name="Incidents")
    await expect(panel).to_contain_text("1 open")
    await expect(panel.get_by_role("listitem")).to_have_text([re.compile("http: answered 502"), "bad_env_var"])
    keeper.set("chatbot", state=State.UP, incident=incident.id)
    await expect(panel).to_contain_text("up again; it is over when that lasts")
    keeper.heal(incident)
    await expect(panel).to_contain_text("None is open.")
    await expect(panel).to_contain_text(re.compile(r"Chatbot, 1 min 4\d s · bad_env_var"))
    await expect(sentence(page)).to_have_text("All three services are up.")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.UP, "● Up"), (State.WAKING, "◐ Waking"), (State.ASLEEP, "☾ Asleep"), (State.DEGRADED, "▲ Degraded"),
        (State.DOWN, "✕ Down"), (State.PAUSED, "❚❚ Paused"), (State.UNKNOWN, "? Unknown"),
    ],
)  # fmt: skip
async def test_each_state_has_a_glyph_a_word_and_a_height_of_its_own(
    open_page: OpenPage, keeper: FakeKeeper, state: State, said: str
) -> None:
    letter = {State.DEGRADED: "g", State.UNKNOWN: "?"}.get(state, state.value[0])
    keeper.set("chatbot", state=state, strip=strip_of("u" * 30 + letter * 30))
    page = await open_page(keeper.url)
    await expect(card(page, "Chatbot").first.locator(".pill")).to_have_text(said)
    bar = card(page, "Chatbot").first.locator(f".strip path.{state.value}")
    await expect(bar).to_have_count(1)
    heights = await page.evaluate(
        """async (letters) => {
            const { drawStrip, newStrip } = await import("/static/draw.js");
            const strip = newStrip();
            drawStrip(strip, letters);
            return [...strip.querySelectorAll("path")].map((path) => /v-(\\d+)/.exec(path.getAttribute("d"))[1]).map(Number);
        }""",
        "udwa",
    )
    assert len(set(heights)) == len(heights) == 5  # the four, and the place where no look is


async def test_the_keepers_own_trouble_is_told_apart_from_the_services(open_page: OpenPage, keeper: FakeKeeper) -> None:
    keeper.trouble = ("The history is written late: the disk is full.",)
    page = await open_page(keeper.url)
    await expect(page.get_by_text("▲ The history is written late: the disk is full.")).to_be_visible()
    await expect(sentence(page)).to_have_text("All three services are up.")
    keeper.trouble = ()
    keeper.set("chatbot", latency_ms=301.0)
    await expect(page.locator("#banner")).to_be_hidden()


async def test_a_lost_line_is_said_at_once_and_what_was_missed_is_there_when_it_is_back(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    await expect(page.get_by_role("article")).to_have_count(3)
    await keeper.stop()
    await expect(sentence(page)).to_contain_text("The keeper cannot be reached; this is how things stood at")
    await expect(page.locator("#banner")).to_contain_text("Reconnecting")
    await expect(page).to_have_title(re.compile(r"^\?"))
    await expect(countdown(page)).to_have_text("--")
    await expect(press(page, "Stop")).to_be_disabled()
    keeper.fall("chatbot")
    await keeper.start()
    await expect(sentence(page)).to_have_text("Chatbot is down; the other two are as they should be.")
    await expect(page.locator("#banner")).to_be_hidden()
    await expect(press(page, "Stop")).to_be_enabled()
    await expect(log(page)).to_contain_text("Chatbot Service responded with error: 502")


async def test_ten_tabs_cost_the_keeper_one_stream_and_all_of_them_are_live(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    first = await open_page(keeper.url)
    tabs = [first, *[await open_page(keeper.url, context=first.context) for _ in range(9)]]
    for page in tabs:
        await expect(page.get_by_role("article")).to_have_count(3)
    keeper.fall("chatbot")
    for page in tabs:
        await expect(sentence(page)).to_contain_text("Chatbot is down")
    assert keeper.app.state.hub.readers == 1
    await press(tabs[-1], "Ping now: Backend").click()
    for page in tabs:
        await expect(card(page, "Backend")).to_contain_text("187 ms")
    assert keeper.asked["check backend"] == 1


async def test_closing_the_tab_that_listens_hands_over_and_stops_nothing(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    first = await open_page(keeper.url)
    second, third = [await open_page(keeper.url, context=first.context) for _ in range(2)]
    for page in (second, third):
        await expect(page.get_by_role("article")).to_have_count(3)
    await first.close()
    keeper.fall("backend")
    for page in (second, third):
        await expect(sentence(page)).to_contain_text("Backend is down")
    assert keeper.app.state.hub.readers == 1
    assert keeper.monitoring
    assert not {"stop", "start"} & set(keeper.asked)
    await second.close()
    await third.close()
    async with asyncio.timeout(10):
        while keeper.app.state.hub.readers:
            await asyncio.sleep(0.01)
    assert keeper.monitoring


async def test_nobodys_text_becomes_markup(open_page: OpenPage, keeper: FakeKeeper) -> None:
    evil = "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script>"
    keeper.add("evil", title=evil, url=f"javascript:alert('{evil}')", group=evil)
    keeper.fall("evil", Failure(kind=FailureKind.TEXT, phase=Phase.EXPECT, detail=evil), cause=evil)
    keeper.say(evil, Level.ERROR)
    page = await open_page(keeper.url)
    await expect(card(page, evil).first).to_contain_text(evil)
    await page.goto(f"{keeper.url}#/service/evil")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Incidents")
    assert await page.locator("main img, dialog img, main script, dialog script").count() == 0
    assert await dialog.locator("a[href]").count() == 0  # `javascript:` is no address to go to
    assert "stolen" not in await page.title()


async def test_details_tell_ninety_days_incidents_and_every_last_look(open_page: OpenPage, keeper: FakeKeeper) -> None:
    keeper.fall("chatbot", cause="bad_env_var")
    page = await open_page(keeper.url)
    await page.get_by_role("link", name="Why?: Chatbot").click()
    dialog = page.get_by_role("dialog", name="Chatbot")
    await expect(
        dialog.get_by_role("img", name=re.compile(r"The last 90 days by the hour: \d+ hours all well"))
    ).to_be_visible()
    await expect(dialog.locator("canvas")).to_be_visible()
    await expect(dialog).to_contain_text("bad_env_var")
    looks = dialog.locator("details")
    await expect(looks).to_have_count(30)
    await looks.first.locator("summary").click()
    await expect(looks.first).to_contain_text("x-render-routing")
    await expect(looks.first).to_contain_text('{"status":"healthy"}')
    keeper.set("chatbot", state=State.UP, since=ago(seconds=1), failure=None, cause=None)
    await expect(dialog).to_contain_text("● Up")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("link", name="Details: Chatbot")).to_be_focused()
    await expect(page).to_have_url(keeper.url)


async def test_an_address_of_details_opens_them_and_without_history_they_say_so(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    keeper.has_history = False
    page = await open_page(f"{keeper.url}#/service/backend")
    dialog = page.get_by_role("dialog", name="Backend")
    await expect(dialog).to_contain_text("The history cannot be read now")
    await page.go_back()
    await expect(dialog).to_be_hidden()


async def test_in_its_first_hour_latencies_are_told_in_words_for_there_is_no_line_yet(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    del keeper.hours[:-1]
    page = await open_page(f"{keeper.url}#/service/backend")
    dialog = page.get_by_role("dialog", name="Backend")
    await expect(dialog).to_contain_text(
        re.compile(r"Half of them within \d+ ms, 95 % within \d+ ms; a line needs two hours")
    )
    await expect(dialog.locator("canvas")).to_have_count(0)


async def test_a_service_added_to_the_fleet_file_appears_and_one_taken_away_goes(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    await expect(page.get_by_role("article")).to_have_count(3)
    keeper.add("frontend")
    del keeper.views["backend"]
    keeper.reload()
    await expect(page.locator("#cards article h3")).to_have_text(["Chatbot", "Redis", "Frontend"])


async def test_an_empty_fleet_says_what_to_do(open_page: OpenPage) -> None:
    async with fake_keeper(FakeKeeper()) as keeper:
        page = await open_page(keeper.url)
        await expect(sentence(page)).to_have_text("There is nothing to watch yet.")
        await expect(page.locator("#cards")).to_contain_text("[[service]]")


async def test_a_refusal_of_a_button_is_said_in_words(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page(keeper.url)
    await page.route("**/api/v1/checks", lambda route: route.fulfill(status=503, json={"detail": "Busy just now."}))
    await press(page, "Ping all now").click()
    await expect(page.locator("#banner")).to_have_text("▲ Busy just now.")


async def test_signing_in_and_out_with_the_browser(open_page: OpenPage) -> None:
    made = FakeKeeper("chatbot")
    made.settings = Keeper(password=Secret("right one", "env PASSWORD"))
    async with fake_keeper(made) as keeper:
        page = await open_page(keeper.url)
        await page.get_by_label("Password").fill("wrong one")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("That is not the password.")
        await page.get_by_label("Password").fill("right one")
        await page.keyboard.press("Enter")
        await expect(sentence(page)).to_have_text("Chatbot is up.")
        await press(page, "Ping now: Chatbot").click()
        await expect(card(page, "Chatbot")).to_contain_text("187 ms")
        await press(page, "Sign out").click()
        await expect(page.get_by_label("Password")).to_be_visible()


async def test_the_public_page_tells_states_and_nothing_that_is_not_for_everybody(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    keeper.tell(replace(keeper.fall("chatbot", cause="bad_env_var"), closed_at=datetime.now(UTC)))
    page = await open_page(keeper.url + "status")
    await expect(sentence(page)).to_contain_text("Chatbot is down")
    await expect(page.get_by_text("✕ Down")).to_be_visible()
    text = await page.content()
    assert "onrender.com" not in text
    assert "bad_env_var" not in text
    assert "502" not in text
