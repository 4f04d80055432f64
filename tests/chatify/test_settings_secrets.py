"""Whatever variable a secret was pasted into, and however it was mangled: no message holds it, not even in part."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatify.settings import KINDS, BadSettings, ChatbotSettings, load

NAMES = sorted({name.upper() for kind in KINDS.values() for name in kind.model_fields})
PART = 4  # characters: a shorter piece says nothing and is found in any sentence

_ALPHABETS = (
    string.ascii_letters + string.digits,
    string.ascii_letters + string.digits + "+/=",
    string.ascii_lowercase + string.digits + "-_",
    string.hexdigits,
    string.ascii_letters + string.digits + "!#$%&()*+,-./:;<=>?@[]^_{|}~\"'` ",
)


@st.composite
def secrets(draw: st.DrawFn) -> str:
    """As machines make them: 16 characters and more, at random."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    body = "".join(dice.choices(draw(st.sampled_from(_ALPHABETS)), k=draw(st.integers(16, 60))))
    return draw(st.sampled_from(["", "sk-", "sk-proj-", "AIza", "ghp_", "rnd_", "eyJ"])) + body


MANGLED = (
    "{0}", '"{0}"', "'{0}", "“{0}”", " {0}", "{0} ", "{0}\n", "{0} -rsss", "-rsss {0}", "OPENAI_API_KEY={0}", "Bearer {0}",
    "https://{0}", "https://user:{0}@host.example/", "https://a.example/{0}", "https://a.example?key={0}", "redis://:{0}@h:1x",
    "redis://default:{0}@host.example:99999", "redis-cli -u redis://x:{0}@host", "http://{0}.example", "{0}://host",
    '["{0}"]', '["https://{0}"]', '["https://a.example/{0}"]', '["https://a.example", "https://{0}@b.example"]',
    '["https://a.example"] {0}', '["https://a.example"]{0}', "[{0}", "['{0}']", '{{"key": "{0}"}}', "https://a.example,{0}",
    "8000 {0}", "8000{0}", "true {0}", "production {0}", "3.11.{0}", "INFO{0}", "30m{0}", "0.0.0.0 {0}",
    "-----BEGIN PRIVATE KEY-----\n{0}\n-----END PRIVATE KEY-----", "{0}\x00", "\ud800{0}", "$" + "{{{0}}}",
)  # fmt: skip


def parts(secret: str) -> list[str]:
    return [secret[at : at + PART] for at in range(len(secret) - PART + 1)]


def leaks(told: str, secret: str, sayings: str) -> list[str]:
    """Parts of the secret that the message holds and would not hold without it."""
    return [part for part in parts(secret) if part in told and part.strip() and part not in sayings]


@given(
    secret=secrets(), mangled=st.sampled_from(MANGLED), names=st.sets(st.sampled_from(NAMES), min_size=1, max_size=4)
)
def test_a_secret_pasted_anywhere_is_never_shown(secret: str, mangled: str, names: set[str]) -> None:
    value = mangled.replace("{0}", secret).replace("{{", "{").replace("}}", "}")
    for kind in KINDS.values():
        # What the message says anyway, about another value of the same shape.
        sayings = told(kind, dict.fromkeys(names, mangled.replace("{0}", "\u00e4" * 20)))
        said = told(kind, dict.fromkeys(names, value))
        assert not leaks(said, secret, sayings + SAYINGS), said


def told(kind: type, environ: dict[str, str]) -> str:
    try:
        load(kind, environ)
    except BadSettings as mistakes:
        return str(mistakes) + repr(mistakes) + repr(mistakes.mistakes)
    return ""


def every_saying() -> str:
    """Our own sentences: about every variable, for a value of each kind of wrongness."""
    wrong = (
        "x" * 20,
        '"x"',
        " x ",
        "0",
        "[1]",
        "[",
        "{}",
        '["x/"]',
        "redis://",
        "http:// x",
        "true x",
        "\u00e4",
        "sk \u00e4",
    )
    return "\n".join(told(kind, dict.fromkeys(NAMES, value)) for kind in KINDS.values() for value in wrong)


SAYINGS = every_saying()


def test_a_password_that_is_a_word_is_not_shown_either() -> None:
    for url in ("redis://default:correcthorse@h:x", "redis://default:correct horse@h", "correcthorse@host:6379"):
        with pytest.raises(BadSettings) as caught:
            load(ChatbotSettings, {"REDIS_URL": url})
        assert "horse" not in str(caught.value)


@pytest.mark.parametrize(
    "label",
    ["sk0123456789abcdef", "0a1b2c3d4e5f6071", "correcthorsebatterystaple", "a1b2c3-d4e5f6-a7b8c9", "123456789"],
)
def test_a_secret_pasted_in_place_of_a_host_is_not_shown(label: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(ChatbotSettings, {"BACKEND_CORS_ORIGINS": f'["https://{label}.example/", "{label}.example"]'})
    assert label[:6] not in str(caught.value)


def test_settings_that_are_right_show_no_secret_either() -> None:
    settings = load(
        ChatbotSettings,
        {"OPENAI_API_KEY": "sk-abcdef0123456789", "REDIS_URL": "redis://:hunter2hunter2@h", "SERVICE_TOKEN": "tok-0123456789ab"},
    )  # fmt: skip
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert not any(secret in shown for secret in ("abcdef", "hunter2", "tok-"))
