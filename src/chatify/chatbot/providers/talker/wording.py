"""How facts and lists are put into words. Pure."""

from collections.abc import Sequence

from chatify.chatbot.providers.talker.reading import Fact, reflect, topic_of

__all__ = ["capital", "listed", "sentence_of", "topic_of_fact"]


def sentence_of(fact: Fact) -> str:
    """A fact as it is said to the person, without capital or full stop."""
    value = reflect(fact.value)
    match fact.kind:
        case "name" | "age":
            return f"you are {value}"
        case "home":
            return f"your place is {value}"
        case "job":
            return f"you are {value}" if value.startswith(("a ", "an ")) else f"your work is {value}"
        case "likes":
            return f"you like {value}"
        case "dislikes":
            return f"you don't like {value}"
        case "has":
            return f"you have {value}"
        case "favourite":
            return f"your favourite {fact.key} is {value}"
        case "called":
            return f"your {fact.key} is called {value}"
        case _:
            return f"you have {value} in mind"


def topic_of_fact(fact: Fact) -> str:
    """What to ask on about."""
    match fact.kind:
        case "called":
            return fact.value
        case "home":
            return fact.value
        case "age":
            return "being your age"
        case "job":
            return "your work"
        case "plan":
            return topic_of(fact.value) or "that plan"
        case "has":
            return f"your {reflect(fact.value).partition(' ')[2]}"
    return reflect(fact.value)


def capital(text: str) -> str:
    """`text` with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def listed(things: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join((", ".join(things[:-1]), things[-1])) if len(things) > 1 else "".join(things)
