"""Every error that Everwake tells a person about, and the exit code it ends the command with.

EverwakeError                  says what is wrong, and in `hint` what to do
├── Finding            exit 1  something is down, or a criterion is not met
│   └── DidNotStart            a process ended, or did not answer, before it was ready
├── Misused            exit 2  the command, its surroundings or its configuration cannot be used
│   ├── MissingExtra           a part of the distribution is not installed
│   └── AlreadyRunning         the data folder belongs to another run
└── OutOfReach         exit 3  the platform or the keeper did not answer
"""

from typing import ClassVar

__all__ = ["AlreadyRunning", "DidNotStart", "EverwakeError", "Finding", "MissingExtra", "Misused", "OutOfReach"]


class EverwakeError(Exception):
    """Something a person is told in a sentence. hint: what to do about it; neither holds a secret."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Finding(EverwakeError):  # noqa: N818 - reads as what it is
    """Something looked at is not as it should be."""


class DidNotStart(Finding):
    """A process never became ready.

    name: which.   status: its exit status, negative for a signal, None when it ran but did not answer in time.
    said: its last lines.
    """

    def __init__(
        self, message: str, *, name: str, status: int | None, said: tuple[str, ...], hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.status = status
        self.said = said


class Misused(EverwakeError):  # noqa: N818
    """Wrong usage or configuration; nothing was tried."""

    exit_code = 2


class MissingExtra(Misused):
    """A command needs packages that `pip install everwake` alone does not bring. missing: their import names."""

    def __init__(self, what: str, *missing: str) -> None:
        absent = f" ({', '.join(missing)} missing)" if missing else ""
        super().__init__(f"{what} is not installed{absent}", hint='pip install "everwake[all]"')
        self.missing = missing


class AlreadyRunning(Misused):
    """Another run holds the data folder."""


class OutOfReach(EverwakeError):  # noqa: N818
    """A platform or keeper that the command needs did not answer."""

    exit_code = 3
