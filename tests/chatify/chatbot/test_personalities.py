"""Personality files: the built-in ones, the operator's on top, and every mistake told at its place."""

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatify.chatbot import personalities
from chatify.chatbot.personalities import DEFAULT_ID, BadPersonalities, Voice, load
from chatify.chatbot.personalities.voice import phrase_names

GOOD = """name = "Pirate"
description = "Talks like the sea."
system_prompt = "You are a pirate."
temperature = 1.5
opening = "Ahoy!"
"""


def mistakes_in(folder: Path, **files: str | bytes) -> list[str]:
    """What is told about these files, each as `name:line:column: message | fix`."""
    for name, content in files.items():
        (folder / f"{name}.toml").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadPersonalities) as caught:
        load(folder)
    return [f"{m.file.name}:{m.line}:{m.column}: {m.message} | {m.fix}" for m in caught.value.mistakes]


def test_there_are_six_built_in_ones_with_a_character_of_their_own() -> None:
    built_in = load()
    assert next(iter(built_in)) == DEFAULT_ID == "general-assistant"
    assert len(built_in) >= 6
    for field in ("name", "description", "system_prompt", "opening"):
        assert len({getattr(p, field) for p in built_in.values()}) == len(built_in)
    own_voice = [p for p in built_in.values() if p.voice != Voice()]
    assert len(own_voice) >= 5
    for personality in own_voice:
        assert all(getattr(personality.voice, name) != getattr(Voice(), name) for name in phrase_names())


def test_the_built_in_files_lie_in_the_package_where_a_wheel_takes_them() -> None:
    folder = Path(personalities.__file__).parent / "builtin"
    assert {path.stem for path in folder.iterdir()} == set(load())


def test_the_docs_name_every_personality_and_occasion() -> None:
    page = (Path(__file__).parents[3] / "docs" / "personalities.md").read_text(encoding="utf-8")
    for personality in load().values():
        assert f"| `{personality.id}`" in page
        assert f"| {personality.name} |" in page
    assert set(phrase_names()) == set(page.partition("lists of phrases for `")[2].partition("`")[0].split())


def test_a_folder_of_the_operators_adds_and_replaces(tmp_path: Path) -> None:
    (tmp_path / "pirate.toml").write_text(GOOD)
    (tmp_path / "general-assistant.toml").write_text(GOOD.replace("Pirate", "House"))
    (tmp_path / "notes.txt").write_text("not a personality")
    found = load(tmp_path)
    assert found["pirate"].temperature == 1.5
    assert found["pirate"].voice == Voice()
    assert found[DEFAULT_ID].name == "House"
    assert next(iter(found)) == DEFAULT_ID
    assert set(load()) < set(found)


def test_what_editors_on_windows_write_is_read(tmp_path: Path) -> None:
    (tmp_path / "pirate.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(tmp_path)["pirate"].opening == "Ahoy!"


def test_all_mistakes_of_all_files_are_told_at_once_each_at_its_place(tmp_path: Path) -> None:
    told = mistakes_in(
        tmp_path,
        a='name = "A"\ndescription = ""\nsystem_promt = "x"\ntemperature = 2.5\nopening = 7\n',
        b='name = "B\n',
        c=GOOD + '\n[voice]\njoke = ["x"]\nthanks = "x"\nfine = ["I am {mood}."]\n',
    )
    assert told == [
        "a.toml:1:1: system_prompt is missing | add system_prompt = \"...\"",
        "a.toml:2:15: description has 0 characters | write 1 to 300",
        "a.toml:3:1: nothing is called system_promt | did you mean system_prompt?",
        "a.toml:4:15: temperature is not a number from 0 to 2 | write 0.7, say",
        'a.toml:5:11: opening is not a text | write opening = "..."',
        "b.toml:1:10: not TOML: Illegal character '\\n' | see docs/personalities.md for a file to start from",
        "c.toml:8:1: nothing is called joke | did you mean jokes?",
        'c.toml:9:10: thanks is not a list of phrases | write thanks = ["...", "..."], up to 40 phrases of up to 1000 characters',
        "c.toml:10:15: {mood} stands for nothing | use {topic} or {name}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'name = "\xff"', "x.toml:1:9: not UTF-8 from here on | save the file as UTF-8"),
        (b"#" * 70_000, "x.toml:1:1: larger than 64 KiB | shorten it"),
        (b"a = " + b"[" * 60_000, "nested too deeply"),
        (GOOD.replace("1.5", "true"), "temperature is not a number"),
        (GOOD.replace("1.5", "nan"), "temperature is not a number"),
        (GOOD.replace("1.5", '"warm"'), "x.toml:4:15: temperature is not a number"),
        (GOOD + 'voice = "loud"', "x.toml:6:9: voice is not a table | begin it with a line [voice]"),
        (GOOD + "[voice]\nfriend = 7", "x.toml:7:10: friend is not a word"),
        (GOOD + "[voice]\nhello = []", "x.toml:7:9: hello is not a list of phrases"),
        (GOOD + '[voice]\nhello = ["", "x"]', "x.toml:7:9: hello is not a list of phrases"),
        (
            GOOD.replace('"You are a pirate."', '"""\nname2 = 3\n"""\nnaem = "x"'),
            "x.toml:6:1: nothing is called naem | did you mean name?",
        ),
        ("", "x.toml:1:1: name is missing"),
    ],
)
def test_each_kind_of_mistake_is_told_with_its_fix(tmp_path: Path, content: str | bytes, told: str) -> None:
    assert any(told in line for line in mistakes_in(tmp_path, x=content))


@pytest.mark.parametrize("name", ["My Guide", "UPPER", "a_b", "-a", "x" * 65])
def test_a_file_name_that_is_no_id_is_a_mistake(tmp_path: Path, name: str) -> None:
    assert "the file's name is the personality's id" in mistakes_in(tmp_path, **{name: GOOD})[0]


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadPersonalities, match="PERSONALITIES_DIR does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(BadPersonalities, match="PERSONALITIES_DIR cannot be read"):
        load(Path(sys.executable))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    for number in range(201):
        (tmp_path / f"p{number}.toml").write_text(GOOD)
    with pytest.raises(BadPersonalities, match="201 files"):
        load(tmp_path)


def test_the_message_reads_as_a_compiler_s(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(GOOD.replace("1.5", "5"))
    with pytest.raises(BadPersonalities) as caught:
        load(tmp_path)
    told = str(caught.value).splitlines()
    assert told[0] == "1 mistake in the personalities:"
    assert told[1] == f"{tmp_path / 'x.toml'}:4:15: temperature is not a number from 0 to 2"
    assert told[2] == "  hint: write 0.7, say"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200)
    | st.lists(st.sampled_from(GOOD.split("\n")), max_size=8).map("\n".join)
)
def test_any_file_is_read_or_refused_with_its_place(tmp_path: Path, content: str | bytes) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir(parents=True)
    raw = content if isinstance(content, bytes) else content.encode("utf-8", errors="replace")
    (tmp_path / "x.toml").write_bytes(raw)
    try:
        assert load(tmp_path)["x"].name
    except BadPersonalities as bad:
        for mistake in bad.mistakes:
            assert mistake.line >= 1
            assert mistake.column >= 1
            assert mistake.fix
