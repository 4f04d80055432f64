"""The pages and what machines read: nothing foreign is loaded, nothing private is public."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import lists, sampled_from, text, tuples
from prometheus_client.parser import text_string_to_metric_families

from everwake.fleet.schema import Keeper, Secret
from everwake.model import Failure, FailureKind, Incident, Phase, State
from everwake.web.badge import badge
from everwake.web.pages import percent
from everwake.web.sentence import sentence
from tests.everwake.web.serve import site
from tests.support.fake_door import NOW, look

SECRET = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="evidence-of-ours")


async def test_the_dashboard_says_at_once_how_things_stand() -> None:
    async with site("chatbot", "backend") as here:
        here.door.set("chatbot", state=State.WAKING)
        page = await here.client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "Chatbot is waking up; the other one is as it should be." in page.text


@pytest.mark.parametrize("path", ["/", "/status", "/login", "/docs"])
async def test_no_page_loads_anything_from_elsewhere(path: str) -> None:
    async with site(settings=Keeper(password=Secret("x"), token=Secret("t"))) as here:
        page = (await here.client.get(path, headers={"Authorization": "Bearer t"})).text
        sources = re.findall(r"""(?:src|href|action)=["']([^"']*)["']""", page)
        assert sources
        assert not [source for source in sources if "//" in source]
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|\son\w+=|\sstyle=", page), "the policy would block it"
        for source in {source for source in sources if source.startswith("static/")}:
            found = await here.client.get(f"/{source}")
            assert found.status_code == 200, source


async def test_the_public_page_tells_neither_addresses_nor_evidence() -> None:
    async with site("chatbot") as here:
        here.door.set(
            "chatbot", state=State.DOWN, failure=SECRET, cause="private-cause", url="https://internal.example"
        )
        incident = Incident(id="inc-9", service="chatbot", opened_at=NOW, cause="private-cause")
        here.door.tell(incident)
        for path in ("/status", "/badge/chatbot.svg", "/health"):
            shown = (await here.client.get(path)).text
            for private in ("internal.example", "evidence-of-ours", "private-cause", "inc-9"):
                assert private not in shown
        page = (await here.client.get("/status")).text
        assert "Chatbot is down." in page
        assert "2026-01-01 11:30 UTC" in page


async def test_a_name_that_is_markup_stays_text() -> None:
    async with site("chatbot") as here:
        here.door.name = "<script>alert(1)</script>"
        here.door.set("chatbot", title="<img src=x onerror=alert(1)>", state=State.DOWN)
        for path in ("/", "/status"):
            page = (await here.client.get(path)).text
            assert "<script>alert" not in page
            assert "<img src=x" not in page


async def test_static_files_are_sent_again_only_when_they_changed() -> None:
    async with site() as here:
        first = await here.client.get("/static/mark.svg")
        assert first.headers["content-type"] == "image/svg+xml"
        again = await here.client.get("/static/mark.svg", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_an_uptime_is_never_rounded_up_to_the_whole() -> None:
    assert [percent(share) for share in (1.0, 0.999999, 0.99987, 0.0, None)] == [
        "100 %",
        "99.99 %",
        "99.99 %",
        "0.00 %",
        None,
    ]


# --- the sentence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ([], "There is nothing to watch yet."),
        ([("Chatbot", State.UP)], "Chatbot is up."),
        ([("A", State.UP)] * 3, "All three services are up."),
        ([("A", State.UP), ("B", State.ASLEEP)], "All two services are as they should be."),
        ([("A", State.DOWN), ("B", State.UP), ("C", State.UP)], "A is down; the other two are as they should be."),
        ([("A", State.DOWN), ("B", State.DOWN)], "A and B are down."),
        ([("A", State.UP), ("B", State.WAKING), ("C", State.DOWN)],
         "C is down; B is waking up; the other one is as it should be."),
        ([("A", State.DOWN)] * 1_200, "1,200 services are down."),
    ],
)  # fmt: skip
def test_the_sentence_tells_the_worst_first(services: list[tuple[str, State]], said: str) -> None:
    assert sentence(services, monitoring=True) == said


@given(services=lists(tuples(text(min_size=1), sampled_from(State)), min_size=1, max_size=30))
def test_whoever_reads_the_sentence_knows_whether_to_worry(services: list[tuple[str, State]]) -> None:
    said = sentence(services, monitoring=True)
    calm = all(state in (State.UP, State.ASLEEP, State.PAUSED) for _, state in services)
    worry = any(f" {word}" in said for word in ("down", "degraded", "waking up", "not known"))
    assert said.endswith(".")
    assert calm or worry


# --- badge ------------------------------------------------------------------------------------------------------------


@given(name=text(max_size=200), state=sampled_from(State))
def test_a_badge_is_one_well_formed_picture_whatever_the_name(name: str, state: State) -> None:
    from xml.etree import ElementTree

    drawn = badge("".join(char for char in name if char.isprintable()), state)
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib["aria-label"].endswith(f": {state.value}")
    assert int(root.attrib["width"]) > 0


async def test_a_badge_is_never_stale() -> None:
    async with site("chatbot") as here:
        answer = await here.client.get("/badge/chatbot.svg")
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert "no-cache" in answer.headers["cache-control"]
        here.door.set("chatbot", state=State.DOWN)
        assert "chatbot: down" in (await here.client.get("/badge/chatbot.svg")).text


# --- metrics ----------------------------------------------------------------------------------------------------------


async def test_metrics_tell_services_and_the_keeper_to_prometheus() -> None:
    async with site("chatbot", "backend") as here:
        here.door.set("backend", state=State.DOWN, latency_ms=None, heartbeat=None, incident="inc-1")
        here.door.tell(Incident(id="inc-1", service="backend", opened_at=NOW, first=look("backend")))
        answer = await here.client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        told = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
        assert told["everwake_service_up", "chatbot"] == 1
        assert told["everwake_service_up", "backend"] == 0
        assert told["everwake_service_state", "backend", "down"] == 1
        assert told["everwake_service_latency_seconds", "chatbot"] == pytest.approx(0.3004)
        assert ("everwake_service_latency_seconds", "backend") not in told
        assert told["everwake_heartbeat_connected", "chatbot"] == 1
        assert ("everwake_heartbeat_connected", "backend") not in told
        assert told["everwake_service_last_look_timestamp_seconds", "chatbot"] == NOW.timestamp()
        assert told["everwake_looks_total", "chatbot"] == 7
        assert told["everwake_looks_failed_total", "chatbot"] == 2
        assert told["everwake_incidents_total", "backend"] == 1
        assert told["everwake_service_incident_open", "backend"] == 1
        assert told["everwake_service_uptime_ratio", "24h", "chatbot"] == 1.0
        assert ("everwake_service_uptime_ratio", "90d", "chatbot") not in told
        assert (told["everwake_monitoring",], told["everwake_looks_running",]) == (1, 1)


async def test_a_name_cannot_break_out_of_its_label() -> None:
    async with site("chatbot") as here:
        here.door.views['x"} 1\nevil{a="'] = here.door.views.pop("chatbot")
        hostile = here.door.views['x"} 1\nevil{a="']
        here.door.views['x"} 1\nevil{a="'] = type(hostile)(
            **{field: getattr(hostile, field) for field in hostile.__slots__} | {"name": 'x"} 1\nevil{a="'}
        )
        text_ = (await here.client.get("/metrics")).text
        families = {family.name for family in text_string_to_metric_families(text_)}
        assert "evil" not in families
        assert "everwake_service_up" in families


async def test_the_first_page_and_scrape_load_their_libraries_and_nothing_before_does() -> None:
    import subprocess
    import sys

    told = subprocess.run(
        [sys.executable, "-c", "import everwake.web.app, everwake.web.serving, sys; print(*sys.modules)"],
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout.split()  # fmt: skip
    for heavy in ("jinja2", "fastapi", "pydantic", "httpx", "aiohttp", "pycurl", "sqlite3"):
        assert heavy not in told, heavy


def test_the_strip_never_tells_of_more_than_it_saw() -> None:
    from everwake.watch.view import Seen
    from everwake.web import answers
    from tests.support.fake_door import view

    states = list(State)
    strip = tuple(
        Seen(NOW + timedelta(days=n, seconds=1), state, None if n % 2 else 0.6) for n, state in enumerate(states)
    )
    told = answers.service(view("a", strip=strip))["strip"]
    assert told["states"] == "ugwadp?"
    assert told["ago_s"] == [86_400 * n for n in range(len(states) - 1, -1, -1)]
    assert told["ms"] == [1, None, 1, None, 1, None, 1]


async def test_the_manual_names_every_metric_problem_and_address() -> None:
    from pathlib import Path

    import everwake.web
    from everwake.web import openapi

    manual = (Path(__file__).parents[3] / "docs/keeper-api.md").read_text(encoding="utf-8")
    async with site("chatbot") as here:
        families = {family.name for family in text_string_to_metric_families((await here.client.get("/metrics")).text)}
        assert {name for name in families if name not in manual} == set()
    code = "".join(path.read_text(encoding="utf-8") for path in Path(everwake.web.__file__).parent.glob("*.py"))
    problems = set(re.findall(r'Problem\(\s*\d{3}, "(\w+)"', code))
    assert len(problems) > 10
    assert {name for name in problems if f"`{name}`" not in manual} == set()
    paths = {path.replace("{name}.svg", "{service}.svg") for path in openapi.document("test")["paths"]}
    short = {path for path in paths if f"`{path}" not in manual and f" {path}" not in manual}
    assert short <= {"/api/v1/monitoring/stop", "/api/v1/incidents/{incident}"}, "written as a tail of its neighbour"
