"""What a user may say, and as whom: one rule for the chatbot and for the backend, which refuses at once what it would."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from chatify.problems import Problem

__all__ = ["MESSAGE_LIMIT_CHARACTERS", "PersonalityId", "Text", "UserId", "checked_message"]

MESSAGE_LIMIT_CHARACTERS = 4_000
# Half of a surrogate pair cannot be encoded, and NUL ends a text for too many programs on the way to a provider.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def _text(value: str) -> str:
    if _UNUSABLE.search(value):
        raise ValueError("holds a NUL or half of a surrogate pair")
    return value


def _name(value: str) -> str:
    if _CONTROL.search(value) or not value.strip():
        raise ValueError("is blank or holds control characters")
    return value


Text = Annotated[str, AfterValidator(_text)]
UserId = Annotated[str, Field(min_length=1, max_length=200, examples=["user-1"]), AfterValidator(_name)]
PersonalityId = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_name)]


def checked_message(text: str) -> str:
    """The message without the blanks round it.

    Raises:
        Problem: `message_empty` or `message_too_long`.
    """
    said = text.strip()
    if not said:
        raise Problem(422, "message_empty", "The message is empty.")
    if len(said) > MESSAGE_LIMIT_CHARACTERS:
        detail = f"The message has {len(said)} characters; at most {MESSAGE_LIMIT_CHARACTERS} are taken."
        raise Problem(422, "message_too_long", detail)
    return said
