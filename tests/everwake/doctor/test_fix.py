"""Mending: what has one safe answer and nothing else, once and for all, every other byte as it was."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.doctor.examination import Study, study
from everwake.doctor.fix import Mended, mend, mend_values
from everwake.doctor.variables.dialects import DIALECTS
from everwake.doctor.variables.dotenv import parse

HOST = "eu1-calm-owl-31234.upstash.io:6379"


def mended(text: str, **context: str) -> Mended:
    return mend(text, lambda now: study(now, context))


def names(found: Study | Mended) -> list[tuple[str, str]]:
    each = found.fixed if isinstance(found, Mended) else found.findings
    return [(one.problem.key, one.problem.problem) for one in each]


@pytest.mark.parametrize(
    ("reader", "before", "after"),
    [
        (
            "",
            'BACKEND_CORS_ORIGINS=["https://a.example.com"] -rsss\n',
            'BACKEND_CORS_ORIGINS=["https://a.example.com"]\n',
        ),
        (
            "",
            f"REDIS_URL='redis://default:pw9x@{HOST}' # cache\n",
            f"REDIS_URL='rediss://default:pw9x@{HOST}' # cache\n",
        ),
        ("docker", 'export TITLE="My shop"\n', "TITLE=My shop\n"),
        ("docker", "PORT = '8000'\r\nX=1\n", "PORT=8000\r\nX=1\n"),
        ("shell", "\ufeffA=1\r\nTITLE=My shop\r\n", "A=1\nTITLE='My shop'\n"),
        ("dotenv", "PIN=a1#b2\n", 'PIN="a1#b2"\n'),
        (
            "",
            "ALLOWED_ORIGINS=https://a.example.com/,https://b.example.com\n",
            "ALLOWED_ORIGINS=https://a.example.com,https://b.example.com\n",
        ),
        (
            "python-dotenv",
            "DB_URL=postgresql://app:p@ss#1@db.example.com/app\n",
            "DB_URL=postgresql://app:p%40ss%231@db.example.com/app\n",
        ),
        ("", "A=1\nB=2\nA=1\n", "A=1\nB=2\n"),
        ("dotenv", "MAIL_API_KEY='\"re_4f9a1c\"'\n", "MAIL_API_KEY='re_4f9a1c'\n"),
    ],
)
def test_what_has_one_answer_is_mended_where_it_stands(reader: str, before: str, after: str) -> None:
    assert mended(before, reader=reader).text == after


def test_what_quotes_hid_is_mended_in_the_same_run() -> None:
    done = mended(f'REDIS_URL="redis://default:pw9x@{HOST}"\n', reader="docker")
    assert done.text == f"REDIS_URL=rediss://default:pw9x@{HOST}\n"
    assert names(done) == [("REDIS_URL", "quotes_in_value"), ("REDIS_URL", "tls_required")]


def test_what_has_no_single_answer_stays_and_is_still_told() -> None:
    text = "MAIL_API_KEY=your_key_here\nA=1\nA=2\nPORT=abc\n"
    done = mended(text)
    assert (done.text, done.fixed) == (text, ())
    assert len(done.study.findings) == 3


def test_a_value_that_its_reader_cannot_have_is_left_alone() -> None:
    """Docker has no way to write a line end: real ones of a PEM key cannot be given to it in a file."""
    text = "TLS_KEY=-----BEGIN PRIVATE KEY-----\\nTUlJRQ==\\n-----END PRIVATE KEY-----\n"
    assert mended(text, reader="docker").text == text


LINES = st.sampled_from([
    'BACKEND_CORS_ORIGINS=["https://a.example.com/"] -rsss', f'REDIS_URL="redis://default:pw9x@{HOST}"',
    "export PORT = '8000'", "# a comment",
    "", "DEBUG=ture", "API_URL=http://my-api.onrender.com", "PIN=a1#b2", "TITLE=My shop", "MAIL_API_KEY=“re_4f9a1c”", "A=1",
    "A=2", "A=1",
    "DB_HOST=https://db.example.com/", "odd line", "X='un closed", "MODE=fast # or slow",
    "CORS_ORIGINS=['https://a.example.com']",
    "TLS_KEY=-----BEGIN PRIVATE KEY-----\\\\nTUlJRQ==\\\\n-----END PRIVATE KEY-----",
    "DB_URL=postgresql://app:p@ss@db.example.com/app",
    "TOKEN=re_4f9a\n1c77b2", "WS_URL=https://chat.onrender.com/ws", "HEALTH_CHECK_PATH=https://a.example.com/health",
])  # fmt: skip
FILES = st.builds(
    lambda lines, end, bom: ("\ufeff" if bom else "") + end.join(lines) + end,
    st.lists(LINES, max_size=9),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
READERS = st.sampled_from(["", *DIALECTS])


@settings(deadline=None)
@given(text=FILES, reader=READERS)
def test_after_mending_nothing_of_what_was_mended_is_found_and_again_changes_nothing(text: str, reader: str) -> None:
    context = {"reader": reader, "environment": "production"}
    done = mended(text, **context)
    left = names(study(done.text, context))
    before = names(study(text, context))
    for name in set(names(done)):
        assert left.count(name) < max(before.count(name), 1) or name not in before
    again = mended(done.text, **context)
    assert (again.text, again.fixed) == (done.text, ())


@settings(deadline=None)
@given(text=FILES, reader=READERS)
def test_lines_in_which_nothing_was_mended_keep_every_byte(text: str, reader: str) -> None:
    done = mended(text, reader=reader, environment="production")
    if done.text == text:
        return
    touched = {one.name for one in done.fixed}
    if "*" in touched or any(one.problem.problem in ("bom", "duplicate_key", "trailing_newline") for one in done.fixed):
        return
    dialect = DIALECTS.get(reader)
    old, new = (parse(each, dialect) if dialect else parse(each) for each in (text, done.text))
    assert len(old.pieces) == len(new.pieces)
    for was, now in zip(old.pieces, new.pieces, strict=True):
        if was.text != now.text:
            assert any(name in was.text for name in touched)


def test_of_a_deployed_service_only_what_changes_is_named() -> None:
    values = {"REDIS_URL": f"redis://default:pw9x@{HOST}", "PORT": "8000", "MAIL_API_KEY": "your_key_here"}
    assert mend_values(study(values)) == {"REDIS_URL": f"rediss://default:pw9x@{HOST}"}
