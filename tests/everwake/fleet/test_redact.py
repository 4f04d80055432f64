"""The keeper's one masker: no secret survives it, and what a log is read for does."""

import base64
import hashlib
import json
import string
import time
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from everwake.fleet.redact import MASK, is_random, is_secret_name, redact, redact_header, redact_with

# Secrets are of a kind that no text around them holds by chance: at least eight characters with an unusual one amid them.
_LETTERS = string.ascii_letters + string.digits
_URL_SAFE = st.text(_LETTERS + "-._~!$()*+", min_size=6, max_size=24).map(lambda text: f"q{text}Z9")
_WORDS = st.text(_LETTERS + "-_", min_size=40, max_size=60)
_ANY = st.text(
    st.characters(exclude_characters="\"'\\&<>\r\n\x85\u2028\u2029", exclude_categories=("Cs", "Cc", "Z")),
    min_size=6,
    max_size=24,
).map(lambda text: f"q{text}Z9")
# A value in JSON may be anything at all.
_JSON = st.text(st.characters(exclude_categories=("Cs",)), min_size=6, max_size=24).map(lambda text: f"q{text}Z9")
_AROUND = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_NAMES = st.sampled_from(
    ["password", "REDIS_PASSWORD", "passwd", "token", "refresh_token", "secret", "client_secret", "api_key", "OPENAI_API_KEY",
     "apikey", "x-api-key", "SECRET_KEY", "private_key", "aws_secret_access_key", "PGPASSWORD", "passphrase", "db_pwd"]
)  # fmt: skip

# place -> (what stands there, how it is written)
PLACES = {
    "a URL's password": (_URL_SAFE, "https://user:{}@host.example/path"),
    "a URL's user": (_URL_SAFE, "redis://{}@host.example:6379/0"),
    "a password with a slash nobody encoded": (_URL_SAFE, "rediss://default:ab/c#d?{}@host.example:6379"),
    "a URL cut off amid its password": (_URL_SAFE, "postgres://user:{}"),
    "a query": (_URL_SAFE, "GET /hook?a=1&key={} HTTP/1.1"),
    "a query in HTML": (_URL_SAFE, "<a href=https://x.example/?a=1&amp;sig={}>"),
    "a bearer token": (_URL_SAFE.filter(lambda text: not set(text) & set("!$()*")), "got Bearer {}"),
    "an Authorization header": (_ANY, "Authorization: {}"),
    "an Authorization header with a scheme": (_ANY, "-H 'authorization: Token {}' -v"),
    "a Digest": (_ANY, 'Authorization: Digest username="x", realm="y", response="{}", uri="/"'),
    "a header in a Python repr": (_ANY, "{{'Authorization': 'Bearer {}', 'Accept': '*/*'}}"),
    "a header as bytes": (_ANY, "(b'authorization', b'x')=authorization: b'{}'"),
    "a cookie": (_ANY, "Cookie: theme=dark; sid={}; x=y"),
    "a cookie that is set": (_ANY, "set-cookie: sid={}; Path=/; HttpOnly"),
    "a key of OpenAI's": (_WORDS, "key sk-{} is wrong"),
    "a project key of OpenAI's": (_WORDS, "sk-proj-{}"),
    "a key of Stripe's": (_WORDS, "sk_live_{}"),
    "a webhook secret of Stripe's": (_WORDS, "whsec_{}"),
    "a key of Render's": (_WORDS, "(rnd_{})"),
    "a key of Groq's": (_WORDS, "gsk_{}"),
    "a token of GitHub's": (_WORDS, "ghp_{}"),
    "a fine-grained token of GitHub's": (_WORDS, "github_pat_{}"),
    "a token of Slack's": (_WORDS, "xoxb-{}"),
    "a key of Google's": (_WORDS, "AIza{}"),
    "a key of AWS": (st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16), "AKIA{}"),
    "a JWT": (_WORDS, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{}"),
    "a JWT's claims": (_WORDS, "eyJhbGciOiJIUzI1NiJ9.{}"),
    "a bot's token": (_WORDS, "https://api.telegram.org/bot123456789:{}/getMe"),
    "a webhook of Slack's": (_WORDS, "https://hooks.slack.com/services/T00/B00/{}"),
    "a webhook of Discord's": (_WORDS, "https://discord.com/api/webhooks/123/{}"),
    "an Apprise URL": (_WORDS, "tgram://{}/42"),
    "a platform's answer": (_ANY, '{{"key":"REDIS_TOKEN","value":"{}"}}'),
    "a list of tokens": (_ANY, 'tokens = ["{}", "x"]'),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=60)
@given(data=st.data(), before=_AROUND, after=_AROUND)
def test_no_secret_survives_in_its_place(place: str, data: st.DataObject, before: str, after: str) -> None:
    kind, written = PLACES[place]
    secret = data.draw(kind)
    assume(secret[1:-2] not in f"{before}\n{written}\n{after}")
    text = f"{before}\n{written.format(secret)}\n{after}"
    shown = redact(text)
    assert secret not in shown
    assert secret[1:-2] not in shown, "nor most of it"
    assert redact(shown) == shown


@given(name=_NAMES, secret=_ANY, between=st.sampled_from(["=", ": ", " = ", ":", " => "]), before=_AROUND)
def test_what_stands_after_a_secrets_name_is_hidden(name: str, secret: str, between: str, before: str) -> None:
    text = f"{before} {name}{between}{secret} and on"
    assert secret.rstrip(",;)]}") not in redact(text)
    assert redact(text).endswith(" and on")


@given(name=_NAMES, secret=_JSON, before=_AROUND, after=_AROUND)
def test_json_keeps_its_shape_around_a_hidden_value(name: str, secret: str, before: str, after: str) -> None:
    assume(redact(before) == before)
    assume(redact(after) == after)
    document = {"state": "ok", name: secret, "n": 3}
    shown = json.loads(redact(json.dumps(document)))
    assert shown == {"state": "ok", name: MASK, "n": 3}
    inside = redact(json.dumps({"said": json.dumps(document)}))
    assert json.dumps(secret)[1:-1] not in inside


@given(user=st.text(_LETTERS, min_size=1, max_size=12), password=st.text(_LETTERS, min_size=4, max_size=20))
def test_basic_credentials_are_hidden_however_they_come_out(user: str, password: str) -> None:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    assert encoded not in redact(f"sent Basic {encoded} and got 401")


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
@pytest.mark.parametrize("newline", ["\n", "\\n", "\r\n"])
def test_a_private_key_is_hidden_whole_and_what_follows_it_is_not(kind: str, newline: str) -> None:
    body = newline.join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw" + "ggSjAgEA" * 3] * 20)
    pem = newline.join([f"-----BEGIN {kind}PRIV" + "ATE KEY-----", body, f"-----END {kind}PRIVATE KEY-----"])
    assert redact(f"loaded {pem} at 11:30") == f"loaded {MASK} at 11:30"
    assert "MIIE" not in redact(pem[: len(pem) // 2]), "cut short, the rest is hidden"


def test_the_lines_of_a_private_key_are_hidden_one_by_one() -> None:
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB"
    assert len(line) == 64
    assert redact(line) == MASK
    assert redact(f"before\n{line}\nafter") == f"before\n{MASK}\nafter"


@pytest.mark.parametrize(
    "text",
    [
        "[11:30:00] Backend Service is alive! (200 - 300ms)",
        "Starting Chatify Chatbot on 0.0.0.0:8000",
        'INFO:     127.0.0.1:51234 - "GET /health HTTP/1.1" 200 OK',
        '{"status":"healthy","service":"chatify_chatbot","redis":{"latency_ms":3.2},"seq":12}',
        "ValidationError: 1 validation error for Settings - BACKEND_CORS_ORIGINS: Extra data at position 88",
        'BACKEND_CORS_ORIGINS=["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"] -rsss',
        "x-render-routing: dynamic-hibernate-error",
        "commit 0123456789abcdef0123456789abcdef01234567 by ada",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "[SESSION] Created session 550e8400-e29b-41d4-a716-446655440000 with response limit: 20",
        "2026-01-01T00:00:00.000Z WARNING vantage.ours why='no route'",
        "http://localhost:8600: connection refused, see https://a.example:443, https://b.example/x.",
        "http://[::1]:8600/health and [fe80::1%eth0]:80 and 10.0.0.1:6379",
        "srv-d3pq5k7 dep-c1 update_failed, exited with status 1",
        '{"usage":{"prompt_tokens":10,"completion_tokens":512,"total_tokens":522}}',
        "Bearer token is missing; basic authentication failed; Basic plan; basic é",
        "token expired, password required, no such key",
        '{"password": null, "token": false}',
        "disk-usage task-runner risk-assessment key-value sk-learn monkey-patch",
        "git@github.com: mail ada@example.com or @ada",
        "File \"/app/main.py\", line 12, in start\n    raise SystemExit(1)",
        "cookies are off; authorization failed",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "a == b && c != d; x = y; f(k=v)",
        "redis://localhost:6379/0",
        "CORS=[http://localhost:8000,http://localhost:3000]; http://a.example:80,https://b.example",
        "DefaultCredentialsError: Your default credentials were not found. InvalidTokenError: Signature has expired",
        "ELEVENLABS_API_KEY= # voices",
        "gateway token: (set), password: missing",
    ],
)  # fmt: skip
def test_what_a_log_is_read_for_stays_readable(text: str) -> None:
    assert redact(text) == text


_BITS = st.sampled_from(
    ["://", "@", ":", "/", "?", "&", "=", "#", '"', "'", "\\", "\n", " ", ",", "***", "-----BEGIN PRIVATE KEY-----",
     "-----END PRIVATE KEY-----", "password", "token", "tokens", "Authorization", "cookie", "Bearer ", "Basic ", "sk-", "abcdef",
     "eyJ", "eyJhbGciOi", ".", "hooks.slack.com/services/", "api_key", "value", "x", "123", "[", "]", "{", "}", "tgram", "null",
     "SG.", "AKIA", "ABCDEFGH1234", "\u2028", "é"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(_BITS, max_size=24).map("".join))
def test_doing_it_twice_changes_nothing_and_it_does_not_grow_out_of_bounds(text: str) -> None:
    shown = redact(text)
    assert redact(shown) == shown
    assert len(shown) <= 2 * len(text) + len(MASK)


@given(_AROUND, st.integers(0, 40))
def test_a_limit_is_kept(text: str, limit: int) -> None:
    assert len(redact(f"password={text}", limit)) <= max(1, limit)


@given(secret=_JSON, before=_AROUND, after=_AROUND)
def test_a_known_secret_is_hidden_wherever_and_however_it_stands(secret: str, before: str, after: str) -> None:
    for form in (secret, quote(secret, safe=""), json.dumps(secret)):
        shown = redact_with(f"{before}{form}{after}", [secret, "", "no"])
        assert form.strip('"') not in shown
        assert redact_with(shown, [secret]) == shown


def test_the_longer_of_two_known_secrets_is_hidden_whole() -> None:
    assert redact_with("got abcdefgh", ["abcd", "abcdefgh"]) == f"got {MASK}"


def test_a_header_is_hidden_by_its_name() -> None:
    assert redact_header("x-api-key", "plain") == MASK
    assert redact_header("set-cookie", "a=b") == MASK
    assert redact_header("x-render-routing", "no-deploy") == "no-deploy"
    assert redact_header("location", "https://a.example/?code=1") == f"https://a.example/?code={MASK}"
    assert [is_secret_name(name) for name in ("X-Auth-Token", "server", "api_key", "monkey")] == [
        True,
        False,
        True,
        False,
    ]


HOSTILE = [
    "://a:", "a@://", "?a=", "&amp;", "eyJ", "-eyJ", "sk-", "Bearer ", "password=", 'password="\\', "cookie:", 'authorization: "',
    "authorization=x'", "-----BEGIN PRIVATE KEY-----", "-----END ", "token\"", 'token,"value"', "token    ", "12345678:AA",
    "SG.aaaaaaaaaaaaaaaaaaaa", "hooks.slack.com/", "\\", "a1B/" * 16 + "\n", "tokens=1",
    "token=[\"x", "token=[", "tgram://", "basic basic ", "://@", "x",
]  # fmt: skip


@pytest.mark.parametrize("bit", HOSTILE)
def test_it_takes_time_in_proportion_to_the_text(bit: str) -> None:
    """Four times the text takes about four times as long; something quadratic takes sixteen times."""

    def took_s(size: int) -> float:
        text = (bit * (size // len(bit) + 1))[:size]
        best = float("inf")
        for _ in range(2):
            began = time.thread_time()
            redact(text)
            best = min(best, time.thread_time() - began)
        return best

    small, large = took_s(2**17), took_s(2**19)
    assert large < 9 * small + 0.02


def test_what_a_machine_draws_is_known_whatever_it_is_called() -> None:
    for n in range(300):
        drawn = hashlib.sha256(str(n).encode()).digest()
        assert is_random(base64.b64encode(drawn).decode())
        assert is_random(base64.urlsafe_b64encode(drawn).decode().rstrip("="))
        assert is_random(drawn.hex())


@pytest.mark.parametrize(
    "value",
    [
        "", "true", "8000", "production", "gpt-4o-mini-2024-07-18", "meta-llama/Meta-Llama-3-8B-Instruct",
        "https://chatify-chatbot.onrender.com", '["https://a.example.com"]', "srv-d1a2b3c4d5e6f7g8h9i0", "a" * 64, "0" * 64,
        "0b1f2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "d38dd19e1f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c", "/var/data/OfTheHouse2026Files",
        "PersonalitiesDirectoryOfTheHouse2026", "Europe/Berlin", "2026-11-28T02-55-52Z-Nightly-Build-7", "python-3.11.7",
        "it is a Sentence of 12 words", "chatify_chatbot_service_production_1",
    ],
)  # fmt: skip
def test_an_ordinary_value_is_not_taken_for_a_drawn_one(value: str) -> None:
    assert not is_random(value)
