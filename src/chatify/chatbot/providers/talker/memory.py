"""What the talker knows of a conversation: folded anew from its messages each time, so there is no state to lose. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from chatify.chatbot.providers.talker.reading import STOP as STOP_WORDS
from chatify.chatbot.providers.talker.reading import Act, Fact, Message, clean, read, words_of
from chatify.chatbot.providers.talker.sums import NotASum, evaluate
from chatify.chatbot.sessions import Message as Said

__all__ = ["Memory", "quote", "remember"]

MAX_MESSAGES = 200
_SINGLE = {"name", "age", "home", "job"}
_PERFORMANCES = ("joke", "story", "poem", "quote", "ideas", "advice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """messages: the person's earlier ones, oldest first.   told: our earlier replies.   facts: newest last, contradicted ones
    gone.   name, earlier_name: as the person is called, and was before the present message.   result: of the last sum."""

    messages: tuple[Message, ...]
    told: tuple[str, ...]
    facts: tuple[Fact, ...]
    new_facts: tuple[Fact, ...]
    result: Fraction | None

    def all(self, kind: str) -> tuple[Fact, ...]:
        """What is known of one kind, oldest first."""
        return tuple(fact for fact in self.facts if fact.kind == kind)

    def one(self, kind: str, key: str = "") -> str | None:
        """The newest value of one kind."""
        return next((f.value for f in reversed(self.facts) if f.kind == kind and (not key or f.key == key)), None)

    @property
    def name(self) -> str | None:
        return self.one("name")

    @property
    def topic(self) -> str:
        """What was talked about last."""
        return next((m.topic for m in reversed(self.messages) if m.topic and _is_about_something(m)), "")

    @property
    def topics(self) -> tuple[str, ...]:
        """Everything that was talked about, in order, once."""
        return tuple(dict.fromkeys(m.topic for m in self.messages if m.topic and _is_about_something(m)))

    @property
    def last_performance(self) -> Act | None:
        """The joke, story or piece of advice that `another one` means."""
        return next(
            (act for m in reversed(self.messages) for act in reversed(m.acts) if act.kind in _PERFORMANCES), None
        )

    def count(self, kind: str) -> int:
        """How often something was asked for, `another one` included."""
        total, running = 0, ""
        for message in self.messages:
            for act in message.acts:
                running = act.kind if act.kind in _PERFORMANCES else running
                total += act.kind == kind or (act.kind == "more" and running == kind)
        return total

    def about(self, text: str) -> Message | None:
        """The newest earlier message that shares most telling words with `text`, if any does."""
        wanted = {_stem(w) for w in words_of(text) if w not in STOP_WORDS and len(w) > 2}
        best, best_score = None, 0
        for message in self.messages:
            if any(act.kind.startswith("ask_") for act in message.acts):
                continue
            score = len(wanted & {_stem(w) for w in words_of(message.text) if w not in STOP_WORDS})
            if score and score >= best_score:
                best, best_score = message, score
        return best


def remember(history: Sequence[Said], present: Message) -> Memory:
    """Fold a conversation. history: finished turns, oldest first; only the last 200 messages are looked at."""
    messages: list[Message] = []
    told: list[str] = []
    facts: list[Fact] = []
    result: Fraction | None = None
    asked = ""
    for said in history[-MAX_MESSAGES:]:
        if said.role == "assistant":
            asked = said.text[-400:]
            told.append(said.text[:2_000])
            continue
        message = read(clean(said.text))
        messages.append(message)
        facts = _with(facts, _facts_of(message, asked))
        result = _result(message, result)
    new = tuple(_facts_of(present, asked))
    return Memory(
        messages=tuple(messages), told=tuple(told), facts=tuple(_with(facts, new)), new_facts=new, result=result
    )


def quote(text: str, limit: int = 120) -> str:
    """`text` between quotation marks, cut at a word."""
    text = text.replace("“", "'").replace("”", "'").strip()
    if len(text) > limit:
        text = text[:limit].rpartition(" ")[0] or text[:limit]
        text += "…"
    return f"“{text}”"


def _facts_of(message: Message, asked: str) -> Sequence[Fact]:
    """The facts of a message; a bare word after `What may I call you?` is a name."""
    if "call you?" in asked and not any(f.kind == "name" for f in message.facts):
        bare = re.sub(r"^(?:it's|it is|just|ok,?|sure,?|yes,?|well,?)\s+", "", message.text, flags=re.IGNORECASE).strip(
            " .!,"
        )
        is_plain = all(act.kind in {"statement"} for act in message.acts)
        if is_plain and re.fullmatch(r"[^\W\d_][\w'-]{0,30}(?: [^\W\d_][\w'-]{0,30})?", bare):
            return (Fact("name", bare[0].upper() + bare[1:]), *message.facts)
    return message.facts


def _with(facts: Sequence[Fact], new: Sequence[Fact]) -> list[Fact]:
    kept = list(facts)
    for fact in new:
        kept = [old for old in kept if not _is_replaced(old, fact)]
        kept.append(fact)
    return kept[-60:]


def _is_replaced(old: Fact, new: Fact) -> bool:
    if old.kind == new.kind:
        return new.kind in _SINGLE or (old.key == new.key if new.key else old.value.lower() == new.value.lower())
    is_taste = {old.kind, new.kind} == {"likes", "dislikes"}
    return is_taste and old.value.lower() == new.value.lower()


def _result(message: Message, last: Fraction | None) -> Fraction | None:
    for act in message.acts:
        if act.kind == "sum":
            try:
                last = evaluate(act.about, last)
            except NotASum:
                continue
    return last


def _is_about_something(message: Message) -> bool:
    if message.word_count <= 1 and not message.facts:
        return False
    if message.facts:
        return any(fact.kind != "name" for fact in message.facts)
    return any(act.kind in {"statement", "question", "advice", "ideas", "feeling"} for act in message.acts)


def _stem(word: str) -> str:
    return word.rstrip("s'") if len(word) > 3 else word
