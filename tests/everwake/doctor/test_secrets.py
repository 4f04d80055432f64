"""No secret is shown, wherever it stands and whatever is wrong with it: not in a finding, an excerpt, a diff, JSON or SARIF."""

import json
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from everwake.doctor import blueprint, sarif
from everwake.doctor.context import Context
from everwake.doctor.examination import Study, study
from everwake.doctor.fix import mend
from everwake.doctor.telling import as_data, difference_lines, lines, reader_lines
from everwake.doctor.variables.readers import differences

SECRETS = st.text(alphabet=string.ascii_letters + string.digits + "+_!$%^&*", min_size=9, max_size=40).filter(
    lambda one: any(sign.isdigit() for sign in one) and any(sign.isalpha() for sign in one)
)
AROUND = [
    ("", ""),
    ('"', '"'),
    ("'", "'"),
    ("“", "”"),
    (" ", " "),
    ("", "\n"),
    ("<", ">"),
    ("\"'", "'\""),
    ("", "\\n"),
    ("Bearer ", ""),
    ("", " # x"),
    ("\u200b", ""),
]
URLS = [
    "redis://default:{}@eu1-calm-owl-31234.upstash.io:6379", "postgresql://app:{}@localhost:5432", "postgres://app:a@{}@db/app",
    "mongodb+srv://app:<{}>@c0.example.mongodb.net/", "https://api.example.com/?token={}", "htps://app:{}@api.example.com", "redis://:{}@redis",
    "[\"https://u:{}@a.example.com/\"] x",
]  # fmt: skip
NAMES = [
    "OPENAI_API_KEY",
    "DB_PASSWORD",
    "JWT_SECRET",
    "STRIPE_SECRET_KEY",
    "GITHUB_TOKEN",
    "TLS_PRIVATE_KEY",
    "SERVICE_ACCOUNT_JSON",
]
URL_NAMES = [
    "REDIS_URL",
    "DATABASE_URL",
    "BACKEND_CORS_ORIGINS",
    "API_URL",
    "PORT",
    "DB_HOST",
    "HOST",
    "LOG_LEVEL",
    "DEBUG",
    "X",
]
CONTEXT = {"environment": "production", "platform": "render", "service": "chatbot"}


def everything(source: str, found: Study) -> str:
    """All that can be shown of a study."""
    shown = [line for _, line in lines(source, found.findings)]
    shown += [
        json.dumps(as_data(source, found.findings), ensure_ascii=False),
        json.dumps(sarif.document([(source, found.findings)], "1")),
    ]
    return "\n".join([*shown, repr(found.problems), repr(found.findings), repr(found)])


@given(secret=SECRETS, around=st.sampled_from(AROUND), name=st.sampled_from(NAMES))
def test_a_secret_of_ones_own_is_never_shown(secret: str, around: tuple[str, str], name: str) -> None:
    value = f"{around[0]}{secret}{around[1]}"
    assert secret not in everything(".env", study({name: value, "PORT": "8000"}, CONTEXT))


@given(secret=SECRETS, url=st.sampled_from(URLS), name=st.sampled_from(URL_NAMES))
def test_a_password_in_a_url_is_never_shown_whichever_variable_it_stands_in(secret: str, url: str, name: str) -> None:
    assert secret not in everything(".env", study({name: url.format(secret)}, CONTEXT))


@given(secret=SECRETS, name=st.sampled_from(URL_NAMES))
def test_a_secret_pasted_into_the_wrong_variable_is_not_shown(secret: str, name: str) -> None:
    assert secret not in everything(".env", study({name: secret, "BOOL": f"{secret} "}, CONTEXT))


@given(
    secret=SECRETS,
    url=st.sampled_from(URLS),
    around=st.sampled_from(AROUND),
    reader=st.sampled_from(["", "docker", "dotenv", "shell"]),
)
def test_a_file_shows_none_neither_mended_nor_compared(
    secret: str, url: str, around: tuple[str, str], reader: str
) -> None:
    assume("$" not in secret)
    text = (
        f"OPENAI_API_KEY={around[0]}{secret}{around[1]}\r\nexport REDIS_URL = {url.format(secret)}\n"
        f"DB_PASSWORD={secret} # {secret}\n"
        f"DB_PASSWORD='{secret}\n{secret}\nX=1\n"
    )
    context = {**CONTEXT, "reader": reader}
    mended = mend(text, lambda now: study(now, context))
    shown = [everything(".env", study(text, context)), everything(".env", mended.study), repr(mended)]
    shown += difference_lines(text, mended.text, (*study(text, context).secrets, *mended.study.secrets))
    shown += [line for _, line in lines(".env", mended.fixed)]
    shown += reader_lines(differences(text))
    assert secret not in "\n".join(shown)


@given(secret=SECRETS)
def test_a_blueprint_shows_none(secret: str) -> None:
    text = (
        "services:\n- name: bot\n  type: web\n  envVars:\n"
        f"  - key: OPENAI_API_KEY\n    value: {json.dumps(secret)}\n"
        f"  - key: REDIS_URL\n    value: {json.dumps('redis://default:' + secret + '@eu1-calm-owl-31234.upstash.io:6379')}\n"
    )
    mended = mend(text, lambda now: blueprint.study(now, Context()))
    shown = [everything("render.yaml", blueprint.study(text)), everything("render.yaml", mended.study)]
    shown += difference_lines(text, mended.text, mended.study.secrets, is_variables=False)
    assert "rediss://" in mended.text
    assert secret not in "\n".join(shown)


@pytest.mark.parametrize(
    "line", ["q8Zr1vTn4mXwA7==", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC=", "aGVsbG8gd29ybGQ1234567890="]
)
def test_the_second_half_of_a_broken_secret_is_not_taken_for_a_name_and_shown(line: str) -> None:
    found = study(f"API_KEY=abc123def\n{line}\nPORT=1\n")
    assert line.rstrip("=") not in everything(".env", found)


def test_what_is_harmless_is_shown() -> None:
    (finding,) = study({"API_URL": "http://my-api.onrender.com/v1"}).findings
    assert finding.excerpt is not None
    assert finding.excerpt.text == "http://my-api.onrender.com/v1"
    assert (finding.excerpt.start, finding.excerpt.end) == (0, 4)


def test_the_underline_stays_where_it_belongs_when_something_before_it_is_hidden() -> None:
    found = study({"DATABASE_URL": "postgresql://app:pw9xk2m8@localhost:5432/app"}, CONTEXT)
    excerpt = next(one.excerpt for one in found.findings if one.problem.problem == "localhost_in_production")
    assert excerpt is not None
    assert excerpt.text[excerpt.start : excerpt.end] == "localhost"
    assert excerpt.text == "postgresql://***@localhost:5432/app"
