"""Reading `everwake.toml`: all of it, or every mistake with its place."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.checks import kinds
from everwake.fleet import _circles
from everwake.fleet.load import BadFleet, Mistake, load, read
from everwake.fleet.secrets import Partly, of_services

BAD = Path(__file__).parents[2] / "config" / "bad"
SPECS = {name: kind.spec for name, kind in kinds().items() if kind.observe is not None}
ENVIRON = {"RENDER_API_KEY": "rnd_example", "ALERT_URL": "json://127.0.0.1"}

WHOLE = """\
[fleet]
name = "blabbin"

[[service]]
name = "chatbot"
url = "https://chatify-chatbot.onrender.com/"
every = "90s"
expect = { status = 200, json = { status = "healthy" } }
heartbeat = "/ws/keepalive"
depends_on = ["redis"]
platform = "render"
repair = "auto"
awake = "08:00-24:00 Europe/Berlin"

  [[service.check]]
  kind = "chat"
  every = "1h"

[[service]]
name = "redis"
url = "https://blabbin-redis.onrender.com"

[platform.render]
api_key = { env = "RENDER_API_KEY" }

[notify]
urls = [{ env = "ALERT_URL" }]
"""


def test_a_whole_file_is_read_with_its_defaults() -> None:
    fleet = read(WHOLE, "everwake.toml", ENVIRON, SPECS)
    chatbot, redis = fleet.services
    assert (chatbot.url, chatbot.every_s, chatbot.timeout_s) == ("https://chatify-chatbot.onrender.com", 90.0, 30.0)
    assert (chatbot.expect.status, chatbot.expect.json) == ((200,), {"status": "healthy"})
    assert [(check.kind, check.every_s) for check in chatbot.checks] == [("chat", 3600.0)]
    assert (redis.every_s, redis.health, redis.heartbeat, redis.repair) == (180.0, "/health", None, "ask")
    assert fleet.platforms["render"].api_key is not None
    assert fleet.platforms["render"].api_key.reveal() == "rnd_example"


def test_a_secret_has_no_readable_form() -> None:
    fleet = read(WHOLE, "everwake.toml", ENVIRON, SPECS)
    assert "rnd_example" not in repr(fleet)
    assert "json://" not in repr(fleet)


@pytest.mark.parametrize("file", sorted(BAD.glob("*.toml")), ids=lambda file: file.stem)
def test_every_bad_file_is_answered_exactly_so(file: Path) -> None:
    with pytest.raises(BadFleet) as caught:
        read(file.read_text(), "everwake.toml", {"EMPTY": "", "EVERWAKE_PASSWORD": "open-sesame"}, SPECS)
    assert caught.value.message + "\n" == file.with_suffix(".txt").read_text()
    assert caught.value.exit_code == 2
    for hidden in ("open-sesame", "rnd_", "hidden@", "\x1b"):
        assert hidden not in caught.value.message
    assert all(mistake.hint for mistake in caught.value.mistakes), "every mistake says what to do"


def test_there_is_a_bad_file_for_every_kind_of_mistake() -> None:
    assert len(list(BAD.glob("*.toml"))) >= 30


def test_a_file_that_is_not_there_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(BadFleet, match="everwake init"):
        load(tmp_path / "everwake.toml", {}, SPECS)


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    file = tmp_path / "everwake.toml"
    file.write_bytes(b'[fleet]\nname = "caf\xe9"\n')
    with pytest.raises(BadFleet, match=r":2:12: is not UTF-8"):
        load(file, {}, SPECS)


def test_a_bom_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "everwake.toml"
    file.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load(file, ENVIRON, SPECS).name == "blabbin"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("rnd_from_file\n")
    file = tmp_path / "everwake.toml"
    file.write_text(WHOLE.replace('{ env = "RENDER_API_KEY" }', '{ file = "key" }'))
    key = load(file, ENVIRON, SPECS).platforms["render"].api_key
    assert key is not None
    assert (key.reveal(), key.source) == ("rnd_from_file", "file key")


@given(st.text(max_size=200), st.integers(0, len(WHOLE)), st.integers(0, 30))
def test_any_damage_is_a_mistake_with_a_place_or_no_mistake_at_all(damage: str, at: int, cut: int) -> None:
    text = WHOLE[:at] + damage + WHOLE[at + cut :]
    try:
        read(text, "everwake.toml", ENVIRON, SPECS)
    except BadFleet as bad:
        assert bad.mistakes
        lines = text.count("\n") + 1
        assert all(1 <= mistake.line <= lines and mistake.column >= 1 for mistake in bad.mistakes)
        assert "rnd_example" not in bad.message


# --- secrets that are not here ----------------------------------------------------------------------------------------


def test_who_needs_no_secret_reads_the_file_without_them_and_is_told_which() -> None:
    notes: list[Mistake] = []
    fleet = read(WHOLE, "everwake.toml", {}, SPECS, resolver=Partly({}), noted=notes.append)
    key = fleet.platforms["render"].api_key
    assert key is not None
    assert (key.is_known, key.source) == (False, "env RENDER_API_KEY")
    assert [note.told("everwake.toml").splitlines()[0] for note in notes] == [
        "everwake.toml:24:11: platform.render.api_key: the variable RENDER_API_KEY is not set here",
        "everwake.toml:27:9: notify.urls[1]: the variable ALERT_URL is not set here",
    ]


def test_who_needs_some_secrets_is_refused_for_these_alone() -> None:
    token = '  [[service.check]]\n  kind = "http"\n  headers = { Authorization = { env = "TOKEN" } }\n'
    with pytest.raises(BadFleet) as caught:
        read(
            WHOLE + "[[service]]\nname = 'x'\nurl = 'http://x.example'\n" + token,
            "f",
            {},
            SPECS,
            resolver=Partly({}, of_services),
        )
    assert [mistake.message for mistake in caught.value.mistakes] == ["the variable TOKEN is not set"]


def test_a_secret_in_clear_text_is_a_mistake_for_whoever_reads_it() -> None:
    with pytest.raises(BadFleet, match="clear text"):
        read(WHOLE.replace('{ env = "RENDER_API_KEY" }', '"rnd_x"'), "f", ENVIRON, SPECS, resolver=Partly({}))


def test_a_timeout_longer_than_the_pause_is_worth_a_note_and_no_mistake() -> None:
    notes: list[Mistake] = []
    read(WHOLE.replace('every = "90s"', 'every = "10s"\ntimeout = "20s"'), "f", ENVIRON, SPECS, noted=notes.append)
    assert [(note.where, note.line) for note in notes] == [("service[1].timeout", 8)]
    notes.clear()
    read(WHOLE.replace('every = "90s"', 'every = "10s"'), "f", ENVIRON, SPECS, noted=notes.append)
    assert notes == [], "nobody chose the usual timeout"


# --- circles ----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=4, unique=True)))
def test_every_circle_is_one_and_without_any_there_is_none(needs: dict[str, list[str]]) -> None:
    circles = list(_circles.found(needs))
    for circle in circles:
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(later in needs.get(one, []) for one, later in pairwise(circle))
    left = {name: set(others) for name, others in needs.items()}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert bool(circles) == bool(left), "what is left after taking away who needs nobody needs itself"


def test_a_chain_of_ten_thousand_is_no_circle_and_its_end_makes_it_one() -> None:
    needs = {str(n): [str(n + 1)] for n in range(10_000)}
    assert list(_circles.found(needs)) == []
    needs["10000"] = ["0"]
    assert [len(circle) for circle in _circles.found(needs)] == [10_002]


def test_statuses_may_be_a_range_and_a_wrong_one_says_how_to_write_it() -> None:
    text = '[[service]]\nname = "one"\nurl = "https://a.example"\nexpect = {{ status = {} }}\n'
    assert read(text.format('"200-204"'), "f", {}, {}, Path()).services[0].expect.status == (200, 201, 202, 203, 204)
    assert read(text.format('[404, "200-201", 200]'), "f", {}, {}, Path()).services[0].expect.status == (404, 200, 201)
    for wrong in ('"499-200"', '"200-"', '"2xx"', '"200-600"', '"200-499x"'):
        with pytest.raises(BadFleet, match="200-499"):
            read(text.format(wrong), "f", {}, {}, Path())


def test_a_table_below_an_unknown_name_is_told_where_it_stands() -> None:
    text = '[[service]]\nname = "one"\nurl = "https://a.example"\n\n[platfrom.render]\nurl = "https://b.example"\n'
    with pytest.raises(BadFleet) as caught:
        read(text, "f", {}, {}, Path())
    assert [(one.line, one.column) for one in caught.value.mistakes] == [(5, 1)], caught.value.message
