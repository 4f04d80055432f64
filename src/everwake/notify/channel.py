"""One place where messages go: an Apprise URL, which is a secret, and never shown."""

import asyncio
import hashlib
import logging
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from everwake.errors import MissingExtra
from everwake.fleet.redact import redact_with
from everwake.fleet.schema import Secret
from everwake.notify.compose import Message, shortened

__all__ = ["Channel", "NotSent", "in_thread"]

T = TypeVar("T")

REASON_CHARS = 300
IO_TIMEOUT_S = 4.0


class NotSent(Exception):  # noqa: N818 - an expected outcome, kept as text with the message
    """A channel did not take a message; says why, without the channel's secrets."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where to. number: its place in the file, for people."""

    secret: Secret
    number: int = 1

    @property
    def id(self) -> str:
        """Tells channels apart for ever without telling anything of the URL: 8 hexadecimal digits."""
        return hashlib.sha256(self.secret.reveal().encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """For people: where its URL came from."""
        return f"channel {self.number} ({self.secret.source})" if self.secret.source else f"channel {self.number}"

    def check(self) -> str:
        """What kind of service it is, in Apprise's words. Loads Apprise, which takes about a second the first time.

        Raises:
            NotSent: Apprise does not know such a URL.
            MissingExtra: Apprise is not installed.
        """
        return str(self._plugin().service_name)

    def send(self, message: Message) -> str:
        """Send it, blocking; the receipt. Raises NotSent, MissingExtra."""
        from apprise import NotifyFormat, NotifyType

        plugin = self._plugin()
        headers = getattr(plugin, "headers", None)
        if isinstance(headers, dict):
            # json://, xml:// and form:// speak to programs: these can tell a repetition by it.
            headers["Idempotency-Key"] = message.key
        with _Heard(self.secret) as heard:
            is_sent = plugin.notify(
                title=message.title,
                body=message.body,
                notify_type=NotifyType.FAILURE if message.is_bad else NotifyType.SUCCESS,
                body_format=NotifyFormat.TEXT,
            )
        if not is_sent:
            raise NotSent(heard.reason or "it was not taken, and no reason given")
        return str(plugin.service_name)

    def _plugin(self) -> Any:  # Apprise's own type is that of a hundred plugins
        try:
            from apprise import Apprise
        except ModuleNotFoundError:
            raise MissingExtra("sending messages", "apprise") from None
        with _Heard(self.secret):
            plugin = Apprise.instantiate(self.secret.reveal(), suppress_exceptions=True)
        if plugin is None:
            raise NotSent("Apprise knows no such URL")
        plugin.socket_connect_timeout = plugin.socket_read_timeout = IO_TIMEOUT_S
        return plugin


class _Heard(logging.Handler):
    """What Apprise logs in this thread, which is the only place where it gives a reason; kept from every other log."""

    def __init__(self, secret: Secret) -> None:
        super().__init__(logging.WARNING)
        self._thread, self._lines = threading.get_ident(), list[str]()
        self._pieces = [piece for piece in re.split(r"[/:@?&=+,;]+", secret.reveal()) if len(piece) >= 3]

    def __enter__(self) -> "_Heard":
        logger = logging.getLogger("apprise")
        logger.propagate = False  # its lines may hold tokens
        for chatty in (logger, logging.getLogger("urllib3")):
            chatty.setLevel(logging.WARNING)  # what they say below that holds whole URLs
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self._lines) < 5:
            self._lines.append(record.getMessage())

    @property
    def reason(self) -> str:
        text = " ".join(" ".join(self._lines).split())
        return shortened(redact_with(text, self._pieces), REASON_CHARS)


async def in_thread(call: Callable[[], T], deadline_s: float) -> T:
    """What `call` answers or raises, made in a thread of its own. A thread that hangs keeps nothing from ending.

    Raises:
        TimeoutError: it took too long. The thread goes on until its library lets go; whether it sent is not known.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not answer.done():
            answer.set_exception(error) if error is not None else answer.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as raised:  # handed to whoever waits
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="everwake-send", daemon=True).start()
    return await asyncio.wait_for(answer, deadline_s)
