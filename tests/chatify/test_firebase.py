"""Sign-in: an unmodified firebase-admin, real RS256 tokens, and Google's certificates from loopback."""

import asyncio
import base64
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatify.firebase import Caller, Service, SignIn, User, may_act_for
from chatify.problems import Problem
from tests.support.google_certs import GoogleCerts

PROJECT = "demo-project"
SECRET = "service-token-9f8e7d6c5b4a"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleCerts]:
    with GoogleCerts(tmp_path_factory.mktemp("google")) as google, pytest.MonkeyPatch.context() as environment:
        environment.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
        for name, value in google.environment.items():
            environment.setenv(name, value)
        yield google


@pytest.fixture
def google(running: GoogleCerts) -> GoogleCerts:
    running.manner, running.fetches = "ok", 0
    return running


@pytest.fixture
async def sign_in(google: GoogleCerts) -> AsyncIterator[SignIn]:
    made = SignIn(project_id=PROJECT, service_token=SECRET)
    yield made
    await made.close()


async def problem_of(sign_in: SignIn, header: str | None) -> Problem:
    with pytest.raises(Problem) as caught:
        await sign_in.caller(header)
    return caught.value


async def test_a_signed_in_user_is_known_by_their_token(sign_in: SignIn, google: GoogleCerts) -> None:
    assert await sign_in.caller(f"Bearer {google.token('ada', project_id=PROJECT)}") == User("ada")
    assert await sign_in.caller(f"bearer  {google.token('bob', project_id=PROJECT)} ") == User("bob")
    assert sign_in.state == "ok"


async def test_the_certificates_are_fetched_once_for_many_tokens(sign_in: SignIn, google: GoogleCerts) -> None:
    for n in range(20):
        await sign_in.verify(google.token(f"user-{n}", project_id=PROJECT))
    assert google.fetches == 1


def _unsigned(google: GoogleCerts) -> str:
    return google.token("eve", project_id=PROJECT, header={"alg": "none"}).rpartition(".")[0] + "."


BAD_TOKENS = {
    "expired": lambda g: g.token("ada", project_id=PROJECT, expires_in_s=-10),
    "not valid yet": lambda g: g.token("ada", project_id=PROJECT, claims={"iat": int(time.time()) + 3600}),
    "of another project": lambda g: g.token("ada", project_id="another"),
    "forged": lambda g: g.token("ada", project_id=PROJECT, forged=True),
    "of an unknown key": lambda g: g.token("ada", project_id=PROJECT, header={"kid": "unknown"}),
    "without a key name": lambda g: g.token("ada", project_id=PROJECT, header={"kid": None}),
    "with another algorithm": lambda g: g.token("ada", project_id=PROJECT, header={"alg": "HS256"}),
    "unsigned": _unsigned,
    "without a subject": lambda g: g.token("", project_id=PROJECT),
    "with a number for a subject": lambda g: g.token("ada", project_id=PROJECT, claims={"sub": 7}),
    "with a list for a date": lambda g: g.token("ada", project_id=PROJECT, claims={"exp": []}),
    "with no date": lambda g: g.token("ada", project_id=PROJECT, claims={"exp": None}),
    "with an audience list": lambda g: g.token("ada", project_id=PROJECT, claims={"aud": [PROJECT]}),
    "cut": lambda g: g.token("ada", project_id=PROJECT)[:-20],
    "with a changed body": lambda g: _changed(g.token("ada", project_id=PROJECT)),
    "garbage": lambda g: "garbage",
    "three words": lambda g: "a.b.c",
    "no objects": lambda g: "W10.W10.W10",
    "endless": lambda g: "e30." + "A" * 100_000 + ".x",
}


def _changed(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "eve"
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_bad_token_is_unauthorized(sign_in: SignIn, google: GoogleCerts, kind: str) -> None:
    token = BAD_TOKENS[kind](google)
    problem = await problem_of(sign_in, f"Bearer {token}")
    assert (problem.status, problem.code) == (401, "unauthorized")
    assert problem.headers["WWW-Authenticate"] == 'Bearer realm="chatify", error="invalid_token"'
    assert token[:60] not in f"{problem}{problem.body}" or len(token) < 12


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic YTpi", "token abc"])
async def test_without_a_token_nobody_is_signed_in(sign_in: SignIn, header: str | None) -> None:
    problem = await problem_of(sign_in, header)
    assert problem.status == 401
    assert problem.headers["WWW-Authenticate"].startswith('Bearer realm="chatify"')


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    claims=st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "exp", "iat", "auth_time", "firebase"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        min_size=1, max_size=4,
    ),
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ"]), st.none() | st.integers() | st.text(max_size=9) | st.lists(st.text()),
        max_size=2,
    ),
)  # fmt: skip
def test_no_token_however_odd_is_more_than_unauthorized(running: GoogleCerts, claims: dict, header: dict) -> None:  # type: ignore[type-arg]
    running.manner = "ok"

    async def verify() -> object:
        sign_in = SignIn(project_id=PROJECT)
        try:
            return await sign_in.verify(running.token("ada", project_id=PROJECT, claims=claims, header=header))
        except Problem as problem:
            return problem.status
        finally:
            await sign_in.close()

    assert asyncio.run(verify()) in [401, claims.get("sub", "ada")]


@pytest.mark.parametrize("manner", ["status", "garbage", "refuse"])
async def test_without_googles_certificates_sign_in_is_unavailable_and_comes_back(
    sign_in: SignIn, google: GoogleCerts, manner: str
) -> None:
    token = google.token("ada", project_id=PROJECT)
    google.manner = manner  # type: ignore[assignment]
    problem = await problem_of(sign_in, f"Bearer {token}")
    assert (problem.status, problem.code, problem.retry_after_s) == (503, "sign_in_unavailable", 5)
    google.manner = "ok"
    if manner != "garbage":  # garbage came with a max-age, and is believed for that long
        assert await sign_in.verify(token) == "ada"


async def test_a_silent_google_costs_no_more_than_the_deadline(google: GoogleCerts) -> None:
    sign_in = SignIn(project_id=PROJECT, deadline_s=0.5)
    await sign_in.load()
    google.manner = "stall"
    began = time.monotonic()
    problem = await problem_of(sign_in, f"Bearer {google.token('ada', project_id=PROJECT)}")
    assert problem.code == "sign_in_unavailable"
    assert time.monotonic() - began < 2.0
    await sign_in.close()


# --- the service token and who may act for whom ------------------------------------------------------------------------


async def test_the_service_token_is_known_without_google(sign_in: SignIn, google: GoogleCerts) -> None:
    google.manner = "refuse"
    assert await sign_in.caller(f"Bearer {SECRET}") == Service()
    assert google.fetches == 0


async def test_without_a_service_token_set_none_is_accepted(google: GoogleCerts) -> None:
    for unset in (None, ""):
        sign_in = SignIn(project_id=PROJECT, service_token=unset)
        assert (await problem_of(sign_in, "Bearer anything")).status == 401
        await sign_in.close()


@given(st.text(min_size=1, max_size=40))
def test_no_other_text_is_the_service_token(text: str) -> None:
    async def ask() -> Caller | int:
        sign_in = SignIn(service_token=SECRET)
        try:
            return await sign_in.caller(f"Bearer {text}")
        except Problem as problem:
            return problem.status
        finally:
            await sign_in.close()

    assert (asyncio.run(ask()) == Service()) is (text.strip() == SECRET)


def test_a_person_acts_for_themselves_and_a_service_for_anyone() -> None:
    assert may_act_for(User("ada"), "ada")
    assert not may_act_for(User("ada"), "bob")
    assert not may_act_for(User("ada"), "Ada")
    assert may_act_for(Service(), "bob")


# --- credentials ------------------------------------------------------------------------------------------------------


async def test_all_three_ways_to_give_credentials_work(google: GoogleCerts, tmp_path: Path) -> None:
    account = google.account(PROJECT)
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account), encoding="utf-8-sig")
    one_line = account["private_key"].replace("\n", "\\n")
    ways = [
        SignIn(credentials=json.dumps(account)),
        SignIn(credentials_file=file),
        SignIn(project_id=PROJECT, client_email=account["client_email"], private_key=one_line),
        SignIn(project_id=PROJECT, client_email=account["client_email"], private_key=f'"{one_line}"'),
    ]
    for sign_in in ways:
        assert await sign_in.load() == "ok"
        assert await sign_in.verify(google.token("ada", project_id=PROJECT)) == "ada"
        await sign_in.close()


def _broken(account: dict[str, str]) -> dict[str, SignIn]:
    key = account["private_key"]
    return {
        "cut key": SignIn(credentials=json.dumps({**account, "private_key": key[:300]})),
        "word for a key": SignIn(project_id=PROJECT, client_email="a@b.c", private_key="hunter2hunter2hunter2"),
        "not json": SignIn(project_id=PROJECT, credentials=json.dumps(account)[:-200]),
        "a list": SignIn(project_id=PROJECT, credentials="[1]"),
        "too deep": SignIn(project_id=PROJECT, credentials="[" * 60_000),
        "no email": SignIn(project_id=PROJECT, private_key=key),
        "lacking": SignIn(project_id=PROJECT, credentials='{"type": "service_account"}'),
        "no file": SignIn(project_id=PROJECT, credentials_file=Path("does-not-exist.json")),
    }


async def test_broken_credentials_are_told_and_tokens_still_verified(
    google: GoogleCerts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account = google.account(PROJECT)
    secret_lines = [line for line in account["private_key"].splitlines() if len(line) > 40 and "-----" not in line]
    for sign_in in _broken(account).values():
        state = await sign_in.load()
        assert state.startswith("broken: "), state
        assert len(state) < 200
        assert "hunter2" not in state
        assert not [line for line in secret_lines if line[:20] in f"{state}{caplog.text}{sign_in!r}"]
        assert await sign_in.verify(google.token("ada", project_id=PROJECT)) == "ada"
        await sign_in.close()


async def test_without_any_project_id_sign_in_is_unavailable(google: GoogleCerts) -> None:
    sign_in = SignIn(credentials="not json")
    assert (await sign_in.load()) == "broken: FIREBASE_CREDENTIALS is not JSON: line 1, column 1"
    problem = await problem_of(sign_in, f"Bearer {google.token('ada', project_id=PROJECT)}")
    assert (problem.status, problem.code) == (503, "sign_in_unavailable")
    await sign_in.close()


async def test_nothing_configured_says_so() -> None:
    sign_in = SignIn()
    assert (sign_in.is_configured, sign_in.state, await sign_in.load()) == (False, "not configured", "not configured")
    await sign_in.close()


async def test_an_emulator_that_accepts_unsigned_tokens_is_refused(
    google: GoogleCerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9099")
    sign_in = SignIn(project_id=PROJECT)
    assert (await sign_in.load()).startswith("broken: FIREBASE_AUTH_EMULATOR_HOST is set")
    assert (await problem_of(sign_in, f"Bearer {google.token('eve', project_id=PROJECT)}")).status == 503
    await sign_in.close()


async def test_several_live_side_by_side_and_leave_nothing(google: GoogleCerts) -> None:
    import firebase_admin

    before = dict(firebase_admin._apps)
    pair = [SignIn(project_id=PROJECT), SignIn(project_id="another")]
    token = google.token("ada", project_id="another")
    assert (await problem_of(pair[0], f"Bearer {token}")).status == 401
    assert await pair[1].verify(token) == "ada"
    for sign_in in pair:
        await sign_in.close()
    assert dict(firebase_admin._apps) == before


def test_importing_the_module_does_not_import_firebase() -> None:
    code = "import sys, chatify.firebase; print('firebase_admin' in sys.modules, 'google.auth' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["False", "False"]
