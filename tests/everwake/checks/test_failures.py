"""Every way in which a library can fail has a name, and the name never depends on the text."""

import asyncio
import contextlib
import errno
import socket
import ssl
from itertools import chain

import pycurl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets import exceptions

from everwake.checks import _failures
from everwake.model import FailureKind, Phase


def curl(code: int, *, phase: Phase = Phase.TRANSFER, os_errno: int = 0, verify_code: int = 0) -> FailureKind:
    found = _failures.of_curl(code, "text", phase=phase, os_errno=os_errno, verify_code=verify_code)
    return found.kind


def test_every_code_of_libcurl_has_a_name_or_cannot_come_from_http() -> None:
    names = [name for name in dir(pycurl) if name.startswith("E_") and not name.startswith(_failures.IGNORED_CURL)]
    unmapped = [name for name in names if getattr(pycurl, name) not in _failures.CURL]
    assert len(names) > 40
    assert unmapped == []


def test_what_is_ignored_of_libcurl_are_not_the_codes_of_http() -> None:
    ignored = {
        getattr(pycurl, name)
        for name in dir(pycurl)
        # E_MULTI_* are counted in a list of their own.
        if name.startswith(_failures.IGNORED_CURL) and not name.startswith("E_MULTI_")
    }
    assert {7, 28, 35, 52, 56, 60, 61, 63} & ignored == set()


@pytest.mark.parametrize(
    ("os_errno", "kind"),
    [
        (errno.ECONNREFUSED, FailureKind.REFUSED),
        (errno.EHOSTUNREACH, FailureKind.NO_ROUTE),
        (errno.ENETUNREACH, FailureKind.NO_ROUTE),
        (errno.ETIMEDOUT, FailureKind.TIMEOUT),
        (errno.ECONNRESET, FailureKind.RESET),
        (errno.EMFILE, FailureKind.INTERNAL),
        (0, FailureKind.NO_ROUTE),
    ],
)
def test_a_connection_that_fails_is_named_by_the_system(os_errno: int, kind: FailureKind) -> None:
    assert curl(pycurl.E_COULDNT_CONNECT, phase=Phase.CONNECT, os_errno=os_errno) is kind


@pytest.mark.parametrize(
    ("verify_code", "kind"),
    [
        (10, FailureKind.CERTIFICATE_EXPIRED),
        (18, FailureKind.CERTIFICATE_UNTRUSTED),
        (19, FailureKind.CERTIFICATE_UNTRUSTED),
        (20, FailureKind.CERTIFICATE_UNTRUSTED),
        (62, FailureKind.CERTIFICATE_WRONG_HOST),
        (0, FailureKind.CERTIFICATE_WRONG_HOST),
        (1, FailureKind.CERTIFICATE_WRONG_HOST),
    ],
)
def test_a_certificate_that_is_refused_says_why(verify_code: int, kind: FailureKind) -> None:
    assert curl(pycurl.E_PEER_FAILED_VERIFICATION, phase=Phase.TLS, verify_code=verify_code) is kind


def _subclasses(kind: type[BaseException]) -> list[type[BaseException]]:
    return [kind, *chain.from_iterable(map(_subclasses, kind.__subclasses__()))]


def test_every_exception_of_the_network_libraries_is_a_failure_of_the_target() -> None:
    """Walks what `socket`, `ssl` and asyncio streams can raise, subclasses included."""
    roots: tuple[type[BaseException], ...] = (
        ConnectionError, TimeoutError, socket.gaierror, socket.herror, ssl.SSLError, asyncio.IncompleteReadError,
        asyncio.LimitOverrunError,
    )  # fmt: skip
    made = []
    for kind in {kind for root in roots for kind in _subclasses(root)}:
        if kind.__module__.split(".")[0] not in ("builtins", "socket", "ssl", "asyncio", "_ssl"):
            continue
        arguments = {asyncio.IncompleteReadError: (b"", 1), asyncio.LimitOverrunError: ("text", 0)}.get(kind, ())
        error = kind(*arguments)
        if isinstance(error, ssl.SSLCertVerificationError):
            error.verify_code = 20
        made.append(kind)
        failure = _failures.of_exception(error, Phase.CONNECT)
        assert failure is not None, kind
        assert failure.kind is not FailureKind.INTERNAL, kind
    assert len(made) > 12


def test_every_exception_of_the_websocket_library_is_a_failure_of_the_target() -> None:
    """Made without their constructors, for each has another: nothing but the class may decide."""
    made = 0
    for kind in set(_subclasses(exceptions.WebSocketException)):
        if kind is exceptions.InvalidStatus or not kind.__module__.startswith("websockets"):
            continue
        error = kind.__new__(kind)
        # What a message is made of must be there for those that put it together themselves.
        for name in (
            "rcvd",
            "sent",
            "rcvd_then_sent",
            "name",
            "value",
            "size",
            "max_size",
            "cur_size",
            "uri",
            "msg",
            "version",
        ):
            with contextlib.suppress(AttributeError):
                setattr(error, name, None)
        try:
            str(error)
        except (AttributeError, TypeError, AssertionError):
            continue
        assert isinstance(error, Exception)
        failure = _failures.of_websocket(error)
        assert failure.kind is not FailureKind.INTERNAL, kind
        made += 1
    assert made > 10


def test_a_line_that_could_not_be_opened_says_in_which_phase() -> None:
    cases: dict[Exception, tuple[FailureKind, Phase]] = {
        ConnectionRefusedError(errno.ECONNREFUSED, ""): (FailureKind.REFUSED, Phase.CONNECT),
        socket.gaierror(socket.EAI_NONAME, ""): (FailureKind.DNS_NO_SUCH_NAME, Phase.DNS),
        TimeoutError(): (FailureKind.TIMEOUT, Phase.UPGRADE),
        ssl.SSLError(): (FailureKind.TLS_FAILED, Phase.TLS),
        ValueError(): (FailureKind.INTERNAL, Phase.CONNECT),
    }
    for error, (kind, phase) in cases.items():
        failure = _failures.of_websocket(error)
        assert (failure.kind, failure.phase) == (kind, phase)


@pytest.mark.parametrize("name", [name for name in dir(socket) if name.startswith("EAI_")])
def test_every_answer_of_the_resolver_is_a_failure_of_names(name: str) -> None:
    failure = _failures.of_exception(socket.gaierror(getattr(socket, name), name), Phase.DNS)
    assert failure is not None
    assert failure.kind in (FailureKind.DNS_NO_SUCH_NAME, FailureKind.DNS_FAILED)


def test_a_name_that_does_not_exist_is_told_from_a_resolver_that_does_not_answer() -> None:
    gone = _failures.of_exception(socket.gaierror(socket.EAI_NONAME, ""), Phase.DNS)
    again = _failures.of_exception(socket.gaierror(socket.EAI_AGAIN, ""), Phase.DNS)
    assert gone is not None
    assert gone.kind is FailureKind.DNS_NO_SUCH_NAME
    assert again is not None
    assert again.kind is FailureKind.DNS_FAILED


@pytest.mark.parametrize("error", [ValueError(), KeyError("x"), AttributeError(), RuntimeError(), ZeroDivisionError()])
def test_a_bug_of_ours_is_nobodys_failure(error: Exception) -> None:
    assert _failures.of_exception(error, Phase.CONNECT) is None


def test_what_runs_out_on_our_side_is_ours() -> None:
    failure = _failures.of_exception(OSError(errno.EMFILE, "Too many open files"), Phase.CONNECT)
    assert failure is not None
    assert failure.kind is FailureKind.INTERNAL


@given(text=st.text(max_size=3_000))
def test_detail_is_one_bounded_line(text: str) -> None:
    shown = _failures.detail(text)
    assert len(shown) <= 300
    assert not any(ord(character) < 32 for character in shown)


@given(secret=st.text("abcdefghijklmnop0123456789!$*", min_size=8, max_size=40))
def test_detail_hides_passwords_and_query_values(secret: str) -> None:
    shown = _failures.detail(f"cannot reach https://user:{secret}@host.example/x?key={secret}&b={secret} (closed)")
    assert secret not in shown
    assert "host.example" in shown


@given(code=st.integers(0, 120), message=st.text(max_size=50), number=st.integers(0, 200), verify=st.integers(0, 100))
def test_the_name_of_a_failure_never_depends_on_its_text(code: int, message: str, number: int, verify: int) -> None:
    a, b = (
        _failures.of_curl(code, text, phase=Phase.TRANSFER, os_errno=number, verify_code=verify)
        for text in (message, "")
    )
    assert (a.kind, a.phase) == (b.kind, b.phase)
