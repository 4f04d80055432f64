"""Log lines: one an event, in a fixed shape, and no secret in any of them."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from chatify import logs
from chatify.masking import conceal, mask
from tests.support.processes import running

SECRET = "hunter2-hunter2"


class Out:
    """What was printed. (pytest puts another stdout in place for each phase of a test, so it is asked for when needed.)"""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._said = capsys, ""

    def getvalue(self) -> str:
        self._said += self._capsys.readouterr().out
        return self._said


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str]) -> Iterator[Out]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield Out(capsys)
    root.handlers[:], root.level = before


def test_a_text_line_is_time_level_message(out: Out) -> None:
    logs.configure("INFO", json=False)
    logging.getLogger("chatify.x").info("Server started successfully on %s", "127.0.0.1:8000")
    logging.getLogger("chatify.x").debug("not shown")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO Server started successfully on 127\.0\.0\.1:8000\n", out.getvalue()
    )


def test_a_json_line_has_time_level_message_and_what_stands_beside(out: Out) -> None:
    logs.configure("INFO", json=True)
    logging.getLogger("chatify.x").info("[AI_ORCHESTRATOR] AI response received", extra={"user_id": "ada", "tries": 2})
    line = json.loads(out.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "message": "[AI_ORCHESTRATOR] AI response received", "user_id": "ada", "tries": 2,
    }  # fmt: skip


def test_what_somebody_writes_cannot_forge_a_line(out: Out) -> None:
    logs.configure("INFO", json=False)
    logging.getLogger("chatify.x").info("said: %s", "hello\n2026-01-01T00:00:00Z INFO forged\r\x1b[31m\x00")
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("as_json", [False, True])
def test_known_secrets_are_masked_wherever_they_stand(out: Out, as_json: bool) -> None:
    logs.configure("INFO", json=as_json, secrets=[SECRET])
    log = logging.getLogger("chatify.x")
    log.info("in the text %s, in a URL redis://default:other-pw@host/0", SECRET, extra={"beside": f"x{SECRET}x"})
    try:
        raise ValueError(f"in a traceback: {SECRET}, Authorization: Bearer abc.def.ghi")
    except ValueError:
        log.exception("failed")
    said = out.getvalue()
    assert "ValueError" in said
    for secret in (SECRET, "other-pw", "abc.def.ghi"):
        assert secret not in said


def test_an_id_that_somebody_looks_for_stays_readable() -> None:
    line = "[SESSION] Created session 5ccd683d-2a19-46b5-b030-701d2b6a3058 with response limit: 20"
    assert conceal(line) == line


@pytest.mark.parametrize(
    "secret",
    # Put together here, so that no text in this file looks like somebody's key.
    [start + "0123456789abcdef" for start in ("sk-proj-", "rnd_", "AIzaSyA-", "ghp_")]
    + [".".join(["eyJhbGciOiJSUzI1NiJ9", "eyJzdWIiOiJhZGEifQ", "c2lnbmF0dXJl"])],
)
def test_what_begins_like_a_key_is_masked(secret: str) -> None:
    assert secret not in conceal(f"got {secret} from somewhere")
    assert secret[6:] not in mask(f"got {secret} from somewhere")


@given(text=st.text(max_size=300))
def test_masking_takes_any_text(text: str) -> None:
    assert len(mask(text)) <= 80
    conceal(text)


@given(password=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=40))
def test_the_password_of_a_url_is_never_shown(password: str) -> None:
    for url in (f"redis://default:{password}@host:6379/0", f"https://a.example/?token={password}"):
        assert f":{password}@" not in conceal(f"cannot reach {url} now")
        assert f"={password}" not in conceal(f"cannot reach {url} now")


def test_libraries_do_not_tell_bodies_at_debug(out: Out) -> None:
    logs.configure("DEBUG", json=False)
    logging.getLogger("openai").debug("Request options: {'json_data': 'what the user said'}")
    logging.getLogger("chatify.x").debug("ours")
    assert "what the user said" not in out.getvalue()
    assert "ours" in out.getvalue()


def test_a_giant_is_cut(out: Out) -> None:
    logs.configure("INFO", json=False)
    logging.getLogger("chatify.x").info("x" * 1_000_000)
    assert len(out.getvalue()) < 20_000


def test_a_websocket_text_that_is_not_utf_8_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    with running("chatbot", {"AI_PROVIDER": "offline", "DATA_DIR": str(tmp_path)}) as service:
        with connect(f"ws://127.0.0.1:{service.port}/ws/keepalive") as line:
            line.recv(5)
            frame = Frame(Opcode.TEXT, b"\xff\xfe")
            line.socket.sendall(frame.serialize(mask=True))
            with pytest.raises(ConnectionClosed) as closed:
                line.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007
        said = service.until_line("Invalid UTF-8")
        service.terminate()
        service.wait(10)
    assert "WARNING" in said
    assert "Traceback" not in service.log
    assert "ERROR" not in service.log
