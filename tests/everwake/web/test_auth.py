"""Who may do what: every combination of address, host, origin, cookie and token."""

import re
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis.strategies import text

from everwake.errors import Misused
from everwake.fleet.schema import Keeper, Secret
from everwake.web.app import create
from everwake.web.auth import Attempts, Doorkeeper, is_loopback, require_safe
from everwake.web.pages import safe_next
from tests.everwake.web.serve import Site, site
from tests.support.fake_clock import FakeClock
from tests.support.fake_door import NOW, FakeDoor

PASSWORD, TOKEN = Secret("open sesame", "env P"), Secret("t0ken", "env T")
CLOSED = Keeper(password=PASSWORD, token=TOKEN)
BEARER = {"Authorization": "Bearer t0ken"}


# --- where it may listen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_on_loopback_no_password_is_needed(host: str) -> None:
    assert is_loopback(host)
    require_safe(Keeper(host=host))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.7", "keeper.example", "localhost.evil.example", "1.0.0.127"]
)
def test_off_loopback_it_refuses_to_start_without_a_password_or_token(host: str) -> None:
    with pytest.raises(Misused) as refused:
        create(FakeDoor("chatbot"), Keeper(host=host))
    assert refused.value.exit_code == 2
    assert "password" in (refused.value.hint or "")
    require_safe(Keeper(host=host, password=PASSWORD))
    require_safe(Keeper(host=host, token=TOKEN))


# --- where a request comes from ---------------------------------------------------------------------------------------

PUBLIC = Keeper(public_url="https://keeper.example", allowed_hosts=("other.example", "Third.Example:8600"))


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:8600", True), ("localhost", True), ("localhost:8600", True), ("[::1]:8600", True), ("192.168.1.7", True),
        ("keeper.example", True), ("KEEPER.example:443", True), ("keeper.example.", True), ("other.example:1", True),
        ("third.example", True), ("evil.example", False), ("127.0.0.1.evil.example", False), ("keeper.example.evil", False),
        ("", False), ("a, b", False), ("localhost:8600:1", False),
    ],
)  # fmt: skip
async def test_only_hosts_that_are_ours_are_answered(host: str, is_own: bool) -> None:
    async with site(settings=PUBLIC) as here:
        answer = await here.client.get("/api/v1/fleet", headers={"Host": host})
        assert answer.status_code == (200 if is_own else 421)
        if answer.status_code == 421:
            assert answer.json()["code"] == "host_not_allowed"
        assert (await here.client.get("/health", headers={"Host": host or "x"})).status_code == 200


WRITES = ["/api/v1/checks", "/api/v1/monitoring/start", "/api/v1/monitoring/stop", "/api/v1/services/chatbot/check",
          "/api/v1/services/chatbot/remedy", "/login", "/logout"]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://keeper.example.evil"},
        {"Origin": "https://keeper.example:444"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
    ids=str,
)
async def test_another_sites_page_can_change_nothing(headers: dict[str, str]) -> None:
    async with site(settings=PUBLIC) as here:
        for path in WRITES:
            answer = await here.client.post(path, headers={**headers, **BEARER})
            assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed"), path
        assert not here.door.asked["check chatbot"]
        assert here.door.monitoring


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "own"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "own"},
        {"Origin": "https://keeper.example"},
        {"Host": "keeper.example", "Origin": "https://keeper.example"},
        {"Host": "other.example", "Origin": "https://other.example"},
    ],
    ids=str,
)
async def test_our_own_page_and_a_script_can(headers: dict[str, str]) -> None:
    async with site(settings=PUBLIC) as here:
        own = {"Origin": f"http://127.0.0.1:{here.port}"} if headers.get("Origin") == "own" else {}
        assert (await here.client.post("/api/v1/checks", headers={**headers, **own})).status_code == 202


# --- who it is --------------------------------------------------------------------------------------------------------

CLOSED_PATHS = ["/", "/docs", "/openapi.json", "/metrics", "/api/v1/fleet", "/api/v1/services", "/api/v1/services/chatbot",
                "/api/v1/services/chatbot/observations", "/api/v1/services/chatbot/diagnosis", "/api/v1/incidents",
                "/api/v1/incidents/x", "/api/v1/log", "/api/v1/events", "/nowhere", "/Health", "//health"]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer"}, {"Authorization": "Basic t0ken"},
     {"Authorization": "Bearer open sesame"}, {"Cookie": "everwake_session=99999999999.x"}, {"Cookie": "everwake_session="}],
    ids=str,
)  # fmt: skip
async def test_with_a_password_nothing_but_the_public_is_told_to_strangers(headers: dict[str, str]) -> None:
    clock = FakeClock(NOW)
    async with site(settings=CLOSED, clock=clock) as here:
        for path in CLOSED_PATHS:
            answer = await here.client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            await clock.advance(60)  # so that guessing is not slowed down


async def test_the_public_is_told_to_everybody() -> None:
    async with site(settings=CLOSED) as here:
        for path in ("/health", "/status", "/badge/chatbot.svg", "/login", "/static/mark.svg"):
            assert (await here.client.get(path)).status_code == 200, path


async def test_the_token_opens_everything() -> None:
    async with site(settings=CLOSED) as here:
        for path in ("/", "/metrics", "/api/v1/fleet"):
            assert (await here.client.get(path, headers=BEARER)).status_code == 200
        assert (await here.client.post("/api/v1/checks", headers=BEARER)).status_code == 202
        assert (await here.client.post("/api/v1/checks")).status_code == 401


async def test_a_browser_is_shown_where_to_sign_in_and_led_back() -> None:
    async with site(settings=CLOSED) as here:
        asked = await here.client.get("/docs", headers={"Accept": "text/html"})
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/docs")
        form = await here.client.get("/login?next=/docs")
        assert 'value="/docs"' in form.text
        given_ = await sign_in(here, "open sesame", next="/docs")
        assert (given_.status_code, given_.headers["location"]) == (303, "/docs")
        assert (await here.client.get("/docs")).status_code == 200
        out = await here.client.post("/logout")
        assert out.headers["location"] == "/login"
        assert (await here.client.get("/api/v1/fleet")).status_code == 401


async def sign_in(here: Site, password: str, **fields: str) -> httpx.Response:
    return await here.client.post("/login", data={"password": password, **fields})


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    async with site(settings=CLOSED) as here:
        cookie = (await sign_in(here, "open sesame")).headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie
        assert "open sesame" not in cookie


async def test_behind_https_the_cookie_insists_on_it() -> None:
    settings = Keeper(password=PASSWORD, public_url="https://keeper.example")
    async with site(settings=settings) as here:
        answer = await here.client.post("/login", data={"password": "open sesame"}, headers={"Host": "keeper.example"})
        assert "secure" in answer.headers["set-cookie"].lower()


async def test_a_wrong_password_says_so_and_sets_no_cookie() -> None:
    async with site(settings=CLOSED) as here:
        answer = await sign_in(here, "open sesam")
        assert answer.status_code == 401
        assert "not the password" in answer.text
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("how", ["password", "token"])
async def test_guessing_is_slowed_down_and_the_right_one_is_not(how: str) -> None:
    clock = FakeClock(NOW)
    async with site(settings=CLOSED, clock=clock) as here:

        async def guess(text: str) -> httpx.Response:
            if how == "password":
                return await sign_in(here, text)
            return await here.client.get("/api/v1/fleet", headers={"Authorization": f"Bearer {text}"})

        right = "open sesame" if how == "password" else "t0ken"
        answers = [(await guess("wrong")).status_code for _ in range(12)]
        assert answers == [401] * 10 + [429] * 2
        waiting = await guess(right)
        assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "6")
        await clock.advance(6)
        assert (await guess(right)).status_code in (200, 303)


async def test_where_only_a_token_is_set_the_page_takes_the_token() -> None:
    async with site(settings=Keeper(token=TOKEN)) as here:
        assert (await sign_in(here, "t0ken")).status_code == 303


async def test_without_a_password_there_is_nothing_to_sign_in_to() -> None:
    async with site() as here:
        assert (await here.client.get("/login")).headers["location"] == "/"
        assert (await sign_in(here, "")).status_code != 500


def test_a_cookie_ends_after_a_month_and_with_a_new_password() -> None:
    key = b"k" * 32
    door = Doorkeeper(CLOSED, key)
    cookie = door.cookie(NOW)
    assert door.is_signed_in(cookie, NOW + timedelta(days=29))
    assert not door.is_signed_in(cookie, NOW + timedelta(days=31))
    assert Doorkeeper(CLOSED, key).is_signed_in(cookie, NOW), "a restart with the same key keeps people signed in"
    assert not Doorkeeper(CLOSED, b"o" * 32).is_signed_in(cookie, NOW)
    assert not Doorkeeper(Keeper(password=Secret("new")), key).is_signed_in(cookie, NOW)


@given(cookie=text())
def test_no_made_up_cookie_is_taken(cookie: str) -> None:
    assert not Doorkeeper(CLOSED, b"k" * 32).is_signed_in(cookie, NOW)


def test_a_longer_life_cannot_be_written_into_a_cookie() -> None:
    door = Doorkeeper(CLOSED, b"k" * 32)
    until, _, signature = door.cookie(NOW).partition(".")
    assert not door.is_signed_in(f"{int(until) + 1}.{signature}", NOW)


@given(guess=text())
def test_only_the_password_is_the_password(guess: str) -> None:
    door = Doorkeeper(CLOSED, b"k" * 32)
    assert door.is_password(guess) == (guess == "open sesame")
    assert not door.is_token(guess)


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [("/docs", "/docs"), ("/", "/"), ("", "/"), ("https://evil.example", "/"), ("//evil.example", "/"), ("/\\evil.example", "/"),
     ("/a\r\nSet-Cookie: x", "/"), ("/\t/evil.example", "/"), ("javascript:alert(1)", "/"), ("/" + "x" * 600, "/")],
)  # fmt: skip
def test_signing_in_leads_to_our_own_pages_only(wanted: str, leads_to: str) -> None:
    assert safe_next(wanted) == leads_to


def test_only_so_many_addresses_are_remembered() -> None:
    attempts = Attempts(burst=1, each_s=10.0, most=3)
    for n in range(5):
        attempts.failed(str(n), 0.0)
    assert [attempts.wait_s(str(n), 0.0) for n in range(5)] == [0.0, 0.0, 10.0, 10.0, 10.0]


# --- what every answer carries ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/status", "/login", "/docs", "/api/v1/fleet", "/nowhere", "/badge/chatbot.svg"])
async def test_every_answer_forbids_what_a_page_of_ours_never_needs(path: str) -> None:
    async with site() as here:
        headers = (await here.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"https?:|\*", policy), "no foreign hosts"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == (
            "cross-origin" if path.startswith("/badge") else "same-origin"
        )


async def test_a_large_body_is_refused_whether_announced_or_not() -> None:
    async def drip() -> object:
        for _ in range(40):
            yield b"password=" + b"x" * 1_000

    async with site(settings=CLOSED) as here:
        announced = await here.client.post("/login", content=b"x" * 20_000)
        assert (announced.status_code, announced.json()["code"]) == (413, "body_too_large")
    async with site(settings=CLOSED) as here:
        dripped = await here.client.post("/login", content=drip())  # type: ignore[arg-type]
        assert (dripped.status_code, dripped.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a=b" for _ in range(50)), b"password=%ff"])
async def test_a_form_that_is_none_is_not_a_fault_of_ours(body: bytes) -> None:
    async with site(settings=CLOSED) as here:
        assert (await here.client.post("/login", content=body)).status_code in (401, 422)
