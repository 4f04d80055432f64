"""The only place that turns what a library says into a `Failure`. Nothing here reads message text to decide."""

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Final

import pycurl  # type: ignore[import-untyped,unused-ignore]

from everwake.fleet.redact import redact
from everwake.model import Failure, FailureKind, Phase

__all__ = ["CURL", "IGNORED_CURL", "detail", "of_curl", "of_exception", "of_verify_code", "of_websocket"]

# --- what is shown ----------------------------------------------------------------------------------------------------

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def detail(text: object) -> str:
    """Text for people: one line, at most 300 characters, masked: a library's message quotes URLs, at times with credentials."""
    return _CONTROL.sub(" ", redact(str(text)[:2_000])).strip()[:300]


# --- operating system -------------------------------------------------------------------------------------------------

_ERRNO: Final[Mapping[int, FailureKind]] = {
    errno.ECONNREFUSED: FailureKind.REFUSED,
    errno.ECONNRESET: FailureKind.RESET,
    errno.ECONNABORTED: FailureKind.RESET,
    errno.EPIPE: FailureKind.RESET,
    errno.ENOTCONN: FailureKind.RESET,
    errno.ETIMEDOUT: FailureKind.TIMEOUT,
    errno.EHOSTUNREACH: FailureKind.NO_ROUTE,
    errno.ENETUNREACH: FailureKind.NO_ROUTE,
    errno.ENETDOWN: FailureKind.NO_ROUTE,
    errno.EADDRNOTAVAIL: FailureKind.NO_ROUTE,
    # A firewall of this machine, or a `prohibit` route, answers so.
    errno.EACCES: FailureKind.NO_ROUTE,
    errno.EPERM: FailureKind.NO_ROUTE,
    errno.EINVAL: FailureKind.NO_ROUTE,  # a `blackhole` route (Linux)
    errno.EAFNOSUPPORT: FailureKind.NO_ROUTE,  # only IPv6 there, only IPv4 here
    getattr(errno, "EHOSTDOWN", -1): FailureKind.NO_ROUTE,
    # Windows' own numbers, which libcurl hands through (WinSock error codes).
    10060: FailureKind.TIMEOUT,
    10061: FailureKind.REFUSED,
    10054: FailureKind.RESET,
    10053: FailureKind.RESET,
    10051: FailureKind.NO_ROUTE,
    10065: FailureKind.NO_ROUTE,
    10013: FailureKind.NO_ROUTE,
}
# What runs out on our side says nothing about the target.
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRINUSE})

_NO_SUCH_NAME: Final = frozenset(
    number
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if (number := getattr(socket, name, None)) is not None
) | {11001, 11004}  # WSAHOST_NOT_FOUND, WSANO_DATA

# --- TLS --------------------------------------------------------------------------------------------------------------

# X509_V_ERR_* of OpenSSL (openssl/x509_vfy.h, 3.x). Every other number but 0 is a chain that is not trusted.
_EXPIRED: Final = frozenset({10, 12, 14, 16})
_WRONG_HOST: Final = frozenset({62, 63, 64})
# No fault of the chain (X509_V_OK), or none found so far (X509_V_ERR_UNSPECIFIED, what libcurl begins with).
_CHAIN_IS_GOOD: Final = frozenset({0, 1})


def of_verify_code(code: int) -> FailureKind:
    """What an OpenSSL verify result means. When the chain is good only the name can have been wrong."""
    if code in _EXPIRED:
        return FailureKind.CERTIFICATE_EXPIRED
    if code in _WRONG_HOST or code in _CHAIN_IS_GOOD:
        return FailureKind.CERTIFICATE_WRONG_HOST
    return FailureKind.CERTIFICATE_UNTRUSTED


# --- libcurl ----------------------------------------------------------------------------------------------------------

# None: more must be known than the code, `of_curl` decides.
CURL: Final[Mapping[int, FailureKind | None]] = {
    pycurl.E_COULDNT_RESOLVE_HOST: FailureKind.DNS_FAILED,
    pycurl.E_COULDNT_CONNECT: None,
    pycurl.E_OPERATION_TIMEDOUT: FailureKind.TIMEOUT,
    pycurl.E_GOT_NOTHING: FailureKind.CLOSED_EARLY,
    pycurl.E_PARTIAL_FILE: FailureKind.CLOSED_EARLY,
    pycurl.E_RECV_ERROR: None,
    pycurl.E_SEND_ERROR: FailureKind.RESET,
    pycurl.E_SEND_FAIL_REWIND: FailureKind.RESET,
    pycurl.E_SSL_CONNECT_ERROR: None,
    pycurl.E_PEER_FAILED_VERIFICATION: None,
    pycurl.E_SSL_ISSUER_ERROR: FailureKind.CERTIFICATE_UNTRUSTED,
    pycurl.E_SSL_INVALIDCERTSTATUS: FailureKind.CERTIFICATE_UNTRUSTED,
    pycurl.E_SSL_PINNEDPUBKEYNOTMATCH: FailureKind.CERTIFICATE_UNTRUSTED,
    pycurl.E_SSL_CIPHER: FailureKind.TLS_FAILED,
    pycurl.E_USE_SSL_FAILED: FailureKind.TLS_FAILED,
    pycurl.E_SSL_SHUTDOWN_FAILED: FailureKind.TLS_FAILED,
    pycurl.E_UNSUPPORTED_PROTOCOL: FailureKind.BAD_PROTOCOL,  # HTTP/0.9 too, or a redirect to ftp://
    pycurl.E_URL_MALFORMAT: FailureKind.BAD_PROTOCOL,  # of a redirect: the file's own URLs are checked by the loader
    pycurl.E_FTP_WEIRD_SERVER_REPLY: FailureKind.BAD_PROTOCOL,  # CURLE_WEIRD_SERVER_REPLY
    pycurl.E_HTTP2: FailureKind.BAD_PROTOCOL,
    pycurl.E_BAD_CONTENT_ENCODING: FailureKind.BAD_ENCODING,
    pycurl.E_FILESIZE_EXCEEDED: FailureKind.TOO_LARGE,
    pycurl.E_WRITE_ERROR: None,
    pycurl.E_TOO_MANY_REDIRECTS: FailureKind.TOO_MANY_REDIRECTS,
    100: FailureKind.HEADERS_TOO_LARGE,  # CURLE_TOO_LARGE (libcurl 8.6): more headers than it holds, 300 KB or 5,000
    # Ours: options, files, memory, callbacks.
    pycurl.E_FAILED_INIT: FailureKind.INTERNAL,
    pycurl.E_NOT_BUILT_IN: FailureKind.INTERNAL,
    pycurl.E_OUT_OF_MEMORY: FailureKind.INTERNAL,
    pycurl.E_READ_ERROR: FailureKind.INTERNAL,
    pycurl.E_ABORTED_BY_CALLBACK: FailureKind.INTERNAL,
    pycurl.E_BAD_FUNCTION_ARGUMENT: FailureKind.INTERNAL,
    pycurl.E_BAD_CALLING_ORDER: FailureKind.INTERNAL,
    pycurl.E_FUNCTION_NOT_FOUND: FailureKind.INTERNAL,
    pycurl.E_LIBRARY_NOT_FOUND: FailureKind.INTERNAL,
    pycurl.E_INTERFACE_FAILED: FailureKind.INTERNAL,
    pycurl.E_UNKNOWN_OPTION: FailureKind.INTERNAL,
    pycurl.E_SSL_CACERT_BADFILE: FailureKind.INTERNAL,
    pycurl.E_SSL_CERTPROBLEM: FailureKind.INTERNAL,  # our own client certificate
    pycurl.E_SSL_CRL_BADFILE: FailureKind.INTERNAL,
    pycurl.E_SSL_ENGINE_NOTFOUND: FailureKind.INTERNAL,
    pycurl.E_SSL_ENGINE_SETFAILED: FailureKind.INTERNAL,
    pycurl.E_SSL_ENGINE_INITFAILED: FailureKind.INTERNAL,
    pycurl.E_COULDNT_RESOLVE_PROXY: FailureKind.INTERNAL,  # no proxy is ever asked
    pycurl.E_NO_CONNECTION_AVAILABLE: FailureKind.INTERNAL,
    pycurl.E_AGAIN: FailureKind.INTERNAL,
    pycurl.E_CHUNK_FAILED: FailureKind.INTERNAL,
    pycurl.E_HTTP_RETURNED_ERROR: FailureKind.INTERNAL,  # only with FAILONERROR, which is not set
    pycurl.E_HTTP_POST_ERROR: FailureKind.INTERNAL,
    pycurl.E_RANGE_ERROR: FailureKind.INTERNAL,
    pycurl.E_LOGIN_DENIED: FailureKind.INTERNAL,
    pycurl.E_BAD_PASSWORD_ENTERED: FailureKind.INTERNAL,
}
# Codes of other protocols than HTTP, and names that pycurl keeps for the multi interface; they cannot end a look.
IGNORED_CURL: Final = (
    "E_FTP_", "E_LDAP_", "E_TFTP_", "E_TELNET_", "E_RTSP_", "E_SSH", "E_MULTI_", "E_CONV_", "E_FILE_", "E_REMOTE_",
    "E_QUOTE_ERROR", "E_UPLOAD_FAILED", "E_BAD_DOWNLOAD_RESUME", "E_SHARE_IN_USE", "E_MALFORMAT_USER",
    "E_URL_MALFORMAT_USER", "E_UNKNOWN_TELNET_OPTION", "E_CALL_MULTI_PERFORM", "E_ALREADY_COMPLETE", "E_OK", "E_HTTP_PORT_FAILED",
)  # fmt: skip


def of_curl(code: int, message: str, *, phase: Phase, os_errno: int, verify_code: int) -> Failure:
    """What ended a transfer. phase: the last one it reached.   os_errno, verify_code: as libcurl tells them, 0 when none."""
    kind = CURL.get(code, FailureKind.INTERNAL)
    if kind is None:
        kind = _undecided(code, phase, os_errno, verify_code)
    if kind is FailureKind.TOO_MANY_REDIRECTS:
        phase = Phase.TRANSFER
    return Failure(kind=kind, phase=phase, detail=detail(message))


def _undecided(code: int, phase: Phase, os_errno: int, verify_code: int) -> FailureKind:
    if code == pycurl.E_PEER_FAILED_VERIFICATION:
        return of_verify_code(verify_code)
    if os_errno in _OURS:
        return FailureKind.INTERNAL
    known = _ERRNO.get(os_errno)
    if code == pycurl.E_COULDNT_CONNECT:
        return known or FailureKind.NO_ROUTE
    if code == pycurl.E_SSL_CONNECT_ERROR:
        return known if known is FailureKind.RESET else FailureKind.TLS_FAILED
    if code == pycurl.E_RECV_ERROR:
        # Without an errno libcurl itself did not like what it read: a bad chunk, a TLS record that is none.
        return known or (FailureKind.TLS_FAILED if phase is Phase.TLS else FailureKind.BAD_PROTOCOL)
    # A body that could not be written to us although we took every byte: the decoder's own trouble.
    return FailureKind.BAD_ENCODING


# --- exceptions -------------------------------------------------------------------------------------------------------


def of_exception(error: BaseException, phase: Phase) -> Failure | None:
    """What an exception of the standard library's network code says about the target. None: it is a bug of ours."""
    kind = _kind_of(error, phase)
    if kind is None:
        return None
    return Failure(kind=kind, phase=phase, detail=detail(error) or type(error).__name__)


def _kind_of(error: BaseException, phase: Phase) -> FailureKind | None:
    match error:
        case ssl.SSLCertVerificationError():
            return of_verify_code(error.verify_code)
        case ssl.SSLZeroReturnError() | ssl.SSLEOFError():
            return FailureKind.TLS_FAILED if phase is Phase.TLS else FailureKind.CLOSED_EARLY
        case ssl.SSLError():
            return FailureKind.TLS_FAILED
        case ssl.CertificateError():
            return FailureKind.CERTIFICATE_WRONG_HOST
        case TimeoutError():
            return FailureKind.TIMEOUT
        case socket.gaierror():
            return FailureKind.DNS_NO_SUCH_NAME if error.errno in _NO_SUCH_NAME else FailureKind.DNS_FAILED
        case socket.herror():
            return FailureKind.DNS_FAILED
        case asyncio.IncompleteReadError() | EOFError():
            return FailureKind.CLOSED_EARLY
        case asyncio.LimitOverrunError():
            return FailureKind.TOO_LARGE
        case OSError(errno=int(number)) if number in _OURS:
            return FailureKind.INTERNAL
        case OSError(errno=int(number)) if number in _ERRNO:
            return _ERRNO[number]
        case ConnectionError():
            return FailureKind.RESET
        case UnicodeError() if phase is Phase.DNS:
            # A host that IDNA cannot spell: no such name can exist.
            return FailureKind.DNS_NO_SUCH_NAME
        case _:
            return None


# --- websockets -------------------------------------------------------------------------------------------------------


def of_websocket(error: Exception) -> Failure:
    """Why no line came about: what `keepalive.client` hands on, an OSError or an exception of `websockets`."""
    # Imported here: only who follows a heartbeat needs the library, and then it is loaded already.
    from websockets import exceptions

    match error:
        case exceptions.InvalidStatus():
            text = f"the upgrade was answered with status {error.response.status_code}"
            return Failure(kind=FailureKind.LINE_REJECTED, phase=Phase.UPGRADE, detail=text)
        case exceptions.TooManyHeaders() | exceptions.HeaderLineTooLong() | exceptions.StatusLineTooLong():
            return Failure(kind=FailureKind.HEADERS_TOO_LARGE, phase=Phase.UPGRADE, detail=detail(error))
        case exceptions.SecurityError():
            return Failure(kind=FailureKind.TOO_MANY_REDIRECTS, phase=Phase.UPGRADE, detail=detail(error))
        case exceptions.ConnectionClosed():
            return Failure(kind=FailureKind.LINE_CLOSED, phase=Phase.UPGRADE, detail=detail(error))
        case exceptions.PayloadTooBig():
            return Failure(kind=FailureKind.TOO_LARGE, phase=Phase.BEAT, detail=detail(error))
        case exceptions.InvalidMessage(__cause__=EOFError() | ConnectionError() as cause):
            # The server hung up instead of answering.
            kind = FailureKind.RESET if isinstance(cause, ConnectionError) else FailureKind.CLOSED_EARLY
            return Failure(kind=kind, phase=Phase.UPGRADE, detail=detail(error))
        case exceptions.InvalidMessage(__cause__=exceptions.WebSocketException() as cause):
            return of_websocket(cause)
        case exceptions.WebSocketException():
            return Failure(kind=FailureKind.BAD_PROTOCOL, phase=Phase.UPGRADE, detail=detail(error))
        case socket.gaierror():
            phase = Phase.DNS
        case ssl.SSLError():
            phase = Phase.TLS
        case TimeoutError():
            phase = Phase.UPGRADE
        case _:
            phase = Phase.CONNECT
    return of_exception(error, phase) or Failure(kind=FailureKind.INTERNAL, phase=phase, detail=type(error).__name__)
