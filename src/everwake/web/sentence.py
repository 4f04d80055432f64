"""How things stand, in one sentence: whoever reads it knows whether to worry. Pure."""

from collections.abc import Sequence

from everwake.model import State

__all__ = ["sentence"]

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NAMED = 3  # more than this are counted instead
# What a person is told of, in the order in which it matters: of one, of several.
_SAID = {
    State.DOWN: ("is down", "are down"),
    State.WAKING: ("is waking up", "are waking up"),
    State.DEGRADED: ("is degraded", "are degraded"),
    State.UNKNOWN: ("is not known", "are not known"),
}


def sentence(services: Sequence[tuple[str, State]], *, monitoring: bool) -> str:
    """services: title and state, in the order of the fleet file."""
    if not services:
        return "There is nothing to watch yet."
    if not monitoring:
        return "Monitoring is stopped."
    worrying = {state: [title for title, stands in services if stands is state] for state in _SAID}
    told = [f"{_who(titles)} {_SAID[state][len(titles) > 1]}" for state, titles in worrying.items() if titles]
    rest = [state for _, state in services if state not in _SAID]
    if not told:
        return _well(services)
    if rest:
        told.append(_the_rest(rest))
    return _upper("; ".join(told)) + "."


def _well(services: Sequence[tuple[str, State]]) -> str:
    states = {state for _, state in services}
    if len(services) == 1:
        title, state = services[0]
        return f"{title} is {state.value}."
    if states == {State.UP}:
        return f"All {_number(len(services))} services are up."
    return f"All {_number(len(services))} services are as they should be."


def _the_rest(states: Sequence[State]) -> str:
    if len(states) == 1:
        return "the other one is as it should be"
    return f"the other {_number(len(states))} are as they should be"


def _who(titles: Sequence[str]) -> str:
    if len(titles) > _NAMED:
        return f"{_number(len(titles))} services"
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _number(n: int) -> str:
    return _NUMBERS[n] if n < len(_NUMBERS) else f"{n:,}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
