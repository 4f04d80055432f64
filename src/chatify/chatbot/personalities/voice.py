"""How a personality talks when no AI is behind it: its phrases, and how it is called. Pure data with defaults.

A phrase may hold `{topic}`, what the talk is about, and `{name}`, whom it talks to. The defaults are those of a friendly,
plain assistant; a personality's file replaces what makes it somebody else.
"""
# ruff: noqa: E501 - prepared sentences

from dataclasses import dataclass, fields

__all__ = ["PLACEHOLDERS", "Voice", "phrase_names"]

Phrases = tuple[str, ...]
PLACEHOLDERS = ("{topic}", "{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Phrases by occasion; every tuple holds at least one. friend: stands for a name that is not known yet."""

    friend: str = "friend"
    hello: Phrases = ("Hello, {name}!", "Hi there, {name}!", "Good to see you, {name}.")
    bye: Phrases = ("Goodbye, {name}. It was good to talk.", "Take care, {name}. Until next time!")
    thanks: Phrases = ("You're welcome, {name}.", "Any time.", "Glad that was of use.")
    fine: Phrases = (
        "I'm well, thank you: no network, no hurry, all ears.",
        "Quite content. A quiet day offline, and now some company.",
    )
    about: Phrases = ("I am a plain, friendly assistant.",)
    able: Phrases = ("We can simply talk, and I keep hold of the thread.",)
    jokes: Phrases = (
        "I would tell you a joke about UDP, but you might not get it.",
        "Why did the scarecrow win a prize? He was outstanding in his field.",
        "I asked the library for a book about paranoia. They whispered: it's right behind you.",
        "Parallel lines have so much in common. It's a shame they'll never meet.",
    )
    opener: Phrases = ("I see.", "Thank you for telling me.", "Understood.", "All right.")
    ask: Phrases = (
        "What matters most to you about {topic}?",
        "What should I know about {topic}?",
        "How did it begin with {topic}?",
        "What comes to mind first when you think of {topic}?",
    )
    comfort: Phrases = (
        "I'm sorry it is like that at the moment.",
        "That sounds hard. You don't have to have it sorted out to talk about it.",
    )
    cheer: Phrases = ("That is good to hear!", "Lovely. Good days deserve to be noticed.")
    unsure: Phrases = (
        "I can't look things up while I'm offline, so I won't guess about {topic}.",
        "Facts about {topic} are out of my reach offline, and I'd rather say so than make something up.",
    )
    advice: Phrases = (
        "Let's take {topic} in three steps: what does done look like, what is the smallest piece of it, and what stands in the way of "
        "that piece?",
    )
    ideas: Phrases = (
        "For {topic}, three places to look: what worked last time, what you would do with half the time, and whom you could ask.",
    )
    story: Phrases = (
        "There was a small town where nobody ever spoke of {topic}. One evening the lights went out, and in the dark somebody did. "
        "By the time the lights came back, nobody wanted to stop, and they have met on that evening ever since.",
        "A girl found a letter about {topic} in a library book, addressed to whoever would read it next. She wrote an answer and "
        "put it back. Years later she took the book out again: there were forty letters in it.",
    )
    poem: Phrases = (
        "Of {topic} I would sing,\nif I could hear it ring;\noffline, I only hum\nand wait for words to come.",
    )
    quotes: Phrases = ("A small step that you take beats a big one that you plan.",)


def phrase_names() -> tuple[str, ...]:
    """The occasions there are phrases for."""
    return tuple(field.name for field in fields(Voice) if field.name != "friend")
