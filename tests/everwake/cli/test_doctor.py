"""`everwake doctor` as a person or a pipeline meets it: what it prints, its exit codes, what it writes and keeps."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from everwake.cli import _doctor, main
from everwake.errors import Misused

MISSION = """\
BACKEND_CORS_ORIGINS=["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"] -rsss
REDIS_URL=redis://default:pw9xk2m8@apn1-happy-cat-12345.upstash.io:6379
DEBUG=true
ENVIRONMENT=production
HOST=0.0.0.0
LOG_LEVEL=INFO
OPENAI_API_KEY=your_openai_api_key_here
PORT=8000
PYTHON_VERSION=3.11.9
"""
TEXT = """\
.env:1:109: BACKEND_CORS_ORIGINS: something is left before or after the JSON [json_trailing_garbage]
    ["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"] -rsss
                                                                                           ^^^^^ column 88
    fix: remove everything after the closing ]
.env:2:11: REDIS_URL: the server answers over TLS only [tls_required]
    redis://***@apn1-happy-cat-12345.upstash.io:6379
    ^^^^^ column 1
    fix: write rediss:// : this host answers over TLS only
.env:3:7: DEBUG: debugging is on where people use the service [debug_in_production]
    true
    ^^^^ column 1
    fix: write false: it slows the service and may show its insides to strangers
.env:7:16: OPENAI_API_KEY: a template's text where a value belongs [placeholder]
    found: text of a template
    fix: paste the real key
.env: 2 errors, 2 of advice; --fix mends 2
read otherwise by some (say which with --reader):
    line 1, BACKEND_CORS_ORIGINS: docker run --env-file, docker compose, python-dotenv, dotenv (js), Render's dashboard: \
the value; a shell's source: does not get it: what follows the blank is run as a command
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The command in this process: (exit code, stdout, stderr)."""
    code = _doctor.quick(arguments)
    assert code is not None
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_files_of_the_folder_are_examined_when_none_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".env").write_text(MISSION)
    assert doctor(capsys) == (1, TEXT, "")


def test_a_healthy_file_ends_with_0_and_advice_alone_does_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.env").write_text("PORT=8000\n")
    (here / "b.env").write_text("DEBUG=true\nENVIRONMENT=production\n")
    assert doctor(capsys, "a.env") == (0, "a.env: nothing is wrong\n", "")
    code, out, _ = doctor(capsys, "b.env")
    assert code == 0
    assert "b.env: 0 errors, 1 of advice" in out


def test_json_is_one_document_with_what_the_contract_names(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_text(MISSION)
    for arguments in (("--json",), ("--format", "json"), ("--format=json", ".env")):
        code, out, err = doctor(capsys, *arguments)
        told = json.loads(out)
        assert (code, err, told["ok"], told["errors"], told["advice"]) == (1, "", False, 2, 2)
        first = told["variables"][0]
        assert {name: first[name] for name in ("key", "problem", "column", "found", "line", "file_column", "level")} == {
            "key": "BACKEND_CORS_ORIGINS", "problem": "json_trailing_garbage", "column": 88, "found": "-rsss", "line": 1,
            "file_column": 109, "level": "error",
        }  # fmt: skip


def test_sarif_names_the_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_text(MISSION)
    _, out, _ = doctor(capsys, "--format", "sarif")
    results = json.loads(out)["runs"][0]["results"]
    assert [one["ruleId"] for one in results][:2] == ["json_trailing_garbage", "tls_required"]
    assert results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == ".env"


def test_fix_shows_the_difference_mends_and_keeps_what_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / ".env"
    file.write_text(MISSION)
    file.chmod(0o640)
    code, out, _ = doctor(capsys, "--fix")
    assert code == 0
    assert file.read_text() == MISSION.replace(" -rsss\n", "\n").replace("redis://", "rediss://")
    lines = out.splitlines()
    assert lines[0].startswith("-   1  BACKEND_CORS_ORIGINS=[")
    assert "+   2  REDIS_URL=rediss://***@apn1-happy-cat-12345.upstash.io:6379" in lines
    kept = here / ".everwake" / "backups" / ".env.1"
    assert f".env: 2 findings mended; what it was is kept in {kept.relative_to(here)}" in lines
    assert kept.read_text() == MISSION
    assert (kept.parent / ".gitignore").read_text() == "*\n"
    if sys.platform != "win32":
        assert (kept.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o600, 0o640)
    assert "pw9xk2m8" not in out
    before = file.read_bytes()
    assert doctor(capsys, "--fix")[0] == 0
    assert file.read_bytes() == before
    assert sorted(one.name for one in kept.parent.iterdir()) == [".env.1", ".gitignore"]


def test_a_second_backup_does_not_take_the_place_of_the_first(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in (1, 2):
        (here / ".env").write_text(MISSION)
        doctor(capsys, "--fix")
        assert (here / ".everwake" / "backups" / f".env.{n}").read_text() == MISSION


def test_plan_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_text(MISSION)
    _, out, _ = doctor(capsys, "--plan")
    assert ".env: 2 findings would be mended; nothing was written" in out
    assert (here / ".env").read_text() == MISSION
    assert not (here / ".everwake").exists()


def test_line_ends_are_kept_where_they_are_no_fault(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_bytes(MISSION.replace("\n", "\r\n").encode())
    doctor(capsys, "--fix", "--reader", "python-dotenv")
    assert (here / ".env").read_bytes().count(b"\r\n") == MISSION.count("\n")


def test_standard_input_is_examined_and_known_by_its_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, told in (
        ("PORT=abc\n", "PORT"),
        ("services:\n  - name: a\n    envVars:\n      - {key: PORT, value: abc}\n", "PORT"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        code, out, _ = doctor(capsys, "-")
        assert code == 1
        assert f": {told}: " in out


def test_a_readers_quirks_count_once_it_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_text('TITLE="My shop"\n')
    code, out, _ = doctor(capsys)
    assert code == 0
    assert "line 1, TITLE: docker run --env-file: the value with its quotes" in out
    assert doctor(capsys, "--reader", "docker")[0] == 1
    assert doctor(capsys, "--reader", "dotenv") == (0, ".env: nothing is wrong\n", "")


def test_urls_are_held_against_the_fleet_file_beside(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "everwake.toml").write_text('[[service]]\nname = "chatbot"\nurl = "https://shop-bot.onrender.com"\n')
    (here / ".env").write_text("CHATBOT_URL=https://shop-bot-ww0z.onrender.com\n")
    code, out, _ = doctor(capsys)
    assert code == 1
    assert "[wrong_sibling_host]" in out
    assert "chatbot is shop-bot.onrender.com" in out


def test_what_the_fleet_file_declares_of_a_service_counts_for_its_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "everwake.toml").write_text(
        '[[service]]\nname = "bot"\nurl = "https://shop-bot.onrender.com"\n'
        '[service.variables]\nfrom = "chatify.chatbot"\nTEAM = { required = true }\n'
    )
    (here / "bot.env").write_text("SESSION_RESPONSE_LIMIT=many\n")
    code, out, _ = doctor(capsys, "bot.env", "--service", "bot", "--json")
    assert code == 1
    assert {(one["key"], one["problem"]) for one in json.loads(out)["variables"]} == {
        ("SESSION_RESPONSE_LIMIT", "bad_type"), ("TEAM", "missing_key"),
    }  # fmt: skip


def test_a_template_of_a_file_may_hold_placeholders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env.example").write_text("OPENAI_API_KEY=your_key_here\nSECRET_KEY=changeme\nDATABASE_URL=\n")
    assert doctor(capsys, ".env.example")[0] == 0


def test_a_secret_in_a_file_that_git_keeps_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_text("JWT_SECRET=q8Zr1vTn4mXw\n")
    assert doctor(capsys)[1] == ".env: nothing is wrong\n"
    for words in (("init", "-q"), ("add", "-f", ".env")):
        subprocess.run(["git", *words], cwd=here, check=True, env={**os.environ, "HOME": str(here)})
    assert "[secret_in_repository]" in doctor(capsys)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.env",), "everwake: none.env cannot be read: No such file or directory"),
        ((), "everwake: there is neither .env nor render.yaml here"),
        (("--fix", "-"), "everwake: what comes from standard input cannot be mended in place"),
        (("--reader", "telepathy", "a.env"), "everwake: no reader is called telepathy"),
        (("--schema", "chatify.nobody", "a.env"), "everwake: there is no table of variables chatify.nobody"),
        (("latin.env",), "everwake: latin.env:2: is not UTF-8"),
        (("wide.env",), "everwake: wide.env is UTF-16"),
        (("--format", "xml"), "Error: Invalid value for --format: xml is none of text, json, sarif"),
        (("--nonsense",), "Error: No such option: --nonsense"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(
    here: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (here / "a.env").write_text("PORT=8000\n")
    (here / "latin.env").write_bytes(b"A=1\nTITLE=caf\xe9\n")
    (here / "wide.env").write_bytes("A=1\n".encode("utf-16"))
    told = subprocess.run(
        [sys.executable, "-m", "everwake", "doctor", *arguments],
        capture_output=True,
        text=True,
        cwd=here,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert told.returncode == 2
    assert message in told.stderr
    assert told.stdout == ""


def test_help_names_every_option(here: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "everwake", "doctor", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    for word in (
        "--service",
        "--fix",
        "--plan",
        "--format",
        "--reader",
        "--environment",
        "--platform",
        "--schema",
        "--fleet",
        "--json",
    ):
        assert word in told.stdout, word


def test_a_plain_call_loads_neither_typer_nor_anything_else_heavy(here: Path) -> None:
    (here / ".env").write_text(MISSION)
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "everwake", "doctor", ".env"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "everwake.doctor.examination" in loaded
    heavy = {
        "typer",
        "rich",
        "pydantic",
        "yaml",
        "asyncio",
        "pycurl",
        "everwake.fleet.load",
        "importlib.metadata",
        "subprocess",
        "everwake.doctor.fix",
    }
    assert loaded & heavy == set()


def test_the_command_goes_through_the_front_door(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".env").write_text("PORT=abc\n")
    monkeypatch.setattr(sys, "argv", ["everwake", "doctor"])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))
    assert main() == 1


def test_a_reader_that_has_seen_enough_ends_it_quietly(here: Path) -> None:
    (here / ".env").write_text("".join(f"A{n}_PORT=abc\n" for n in range(3000)))
    command = [sys.executable, "-m", "everwake", "doctor", ".env"]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_yaml_that_is_no_blueprint_is_misuse_and_named(here: Path) -> None:
    (here / "other.yaml").write_text("A: 1\n")
    with pytest.raises(Misused, match=r"other\.yaml is no render.yaml but YAML of something else") as caught:
        _doctor.quick(["other.yaml"])
    assert caught.value.exit_code == 2


def test_the_services_are_those_of_the_data_folder_that_is_named_and_runs(here: Path) -> None:
    (here / ".env").write_text("MODE=fast\n")
    (here / "everwake.toml").write_text("[[service]]\nname = 1\n")
    (here / "bd").mkdir()
    (here / "bd" / "up.json").write_text(json.dumps({"pid": os.getpid(), "dashboard": "x", "platform": {"url": "u"}}))
    (here / "bd" / "everwake.toml").write_text('[[service]]\nname = "of-up"\nurl = "https://a.example"\n')
    assert _doctor.quick([".env", "--service", "of-up", "--data", "bd"]) == 0
    with pytest.raises(Misused, match="has no service of-pu"):
        _doctor.quick([".env", "--service", "of-pu", "--data", "bd"])
