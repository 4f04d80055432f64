"""The hours and the waking over HTTP: `GET /api/v1/hours`, `POST /api/v1/services/{name}/wake`, `POST /api/v1/wake`."""

from datetime import UTC, datetime

import pytest

from everwake.app.door import Door, Listeners
from everwake.budget.hours import put_together
from everwake.budget.ledger import Source, Usage
from everwake.fleet.schema import Fleet, Service
from everwake.web.door import HoursKnown
from tests.everwake.web.serve import site


async def test_hours_that_nobody_has_counted_are_none() -> None:
    async with site("chatbot") as here:
        assert await here.get("/api/v1/hours") == {"counted_at": None, "platforms": {}, "missing": {}}


async def test_hours_are_told_by_platform_with_the_day_they_end_and_the_ways_out() -> None:
    now = datetime(2026, 11, 5, tzinfo=UTC)
    usage = Usage(service="chatbot", used_h=600.0, low_h=600.0, high_h=600.0, source=Source.PLATFORM)
    async with site("chatbot") as here:
        here.door.known_hours = HoursKnown(
            counted_at=now,
            hours={"render": put_together([usage], {"chatbot": "always"}, now)},
            missing={"sim": "no key"},
        )
        body = await here.get("/api/v1/hours")
        render = body["platforms"]["render"]
        assert (body["counted_at"], body["missing"]) == ("2026-11-05T00:00:00.000Z", {"sim": "no key"})
        assert (render["lasts"], render["ends_at"][:10], render["month"]) == (False, "2026-11-11", "2026-11")
        assert render["ways"]
        assert render["said"].startswith("1224 of 750 h used or planned. They end on Wednesday 11 November")


async def test_a_service_is_woken_by_name_or_by_its_address() -> None:
    async with site("chatbot") as here:
        for path in ("/api/v1/services/chatbot/wake?hold=60", "/api/v1/wake?hold=60&url=https://chatbot.example/"):
            answer = await here.client.post(path)
            assert answer.status_code == 202
            assert answer.json() == {"service": "chatbot", "waking": ["chatbot"], "hold_s": 60}
        assert here.door.asked["wake chatbot"] == 2


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/services/nobody/wake", 404, "service_not_found"),
        ("/api/v1/wake?url=https://elsewhere.example", 404, "service_not_found"),
        ("/api/v1/wake", 422, "invalid_request"),
        ("/api/v1/services/chatbot/wake?hold=0", 422, "invalid_request"),
        ("/api/v1/services/chatbot/wake?hold=3601", 422, "invalid_request"),
        ("/api/v1/services/chatbot/wake?hold=1e3", 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_meant_is_refused(path: str, status: int, code: str) -> None:
    async with site("chatbot") as here:
        answer = await here.client.post(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert not here.door.asked


async def test_another_sites_page_may_wake_nobody() -> None:
    async with site("chatbot") as here:
        answer = await here.client.post("/api/v1/services/chatbot/wake", headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://chatbot.example", "a"), ("https://CHATBOT.example:443/x", "a"), ("http://127.0.0.1:8000", "b"),
        ("http://127.0.0.1:8001", None), ("http://chatbot.example", None), ("https://[", None), ("x", None), ("", None),
    ],
)  # fmt: skip
def test_a_service_is_known_by_host_and_port(url: str, name: str | None) -> None:
    services = (Service(name="a", url="https://chatbot.example"), Service(name="b", url="http://127.0.0.1:8000"))

    class Keeper:
        fleet = Fleet(name="f", services=services)

    door = Door(Keeper(), None, None, Listeners())  # type: ignore[arg-type]
    assert door.named_by(url) == name
    assert door.free_hours() == HoursKnown()
