"""What to say. Pure: the same voice, conversation and message give the same reply, in every process."""
# ruff: noqa: E501 - prepared sentences

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chatify.chatbot.personalities.voice import Voice
from chatify.chatbot.providers.talker.memory import Memory, quote, remember
from chatify.chatbot.providers.talker.reading import STOP, Act, Fact, Message, clean, read, reflect, topic_of, words_of
from chatify.chatbot.providers.talker.sums import NotASum, evaluate, show
from chatify.chatbot.providers.talker.tongues import TONGUES
from chatify.chatbot.providers.talker.wording import capital, listed, sentence_of, topic_of_fact
from chatify.chatbot.sessions import Message as Said

__all__ = ["talk"]

MAX_REPLY_CHARS = 1_800
MAX_ACTS = 4
_TONGUES = {tongue.name: tongue for tongue in TONGUES}
_QUIET = {"statement", "question", "hello"}  # said nothing of these when something better was found in the message
_SOCIAL = {"hello", "statement", "feeling", "ok", "yes", "how_are_you"}


def talk(name: str, voice: Voice, history: Sequence[Said], text: str) -> str:
    """The reply of the personality called `name`. Never empty, at most 1,800 characters, printable but for line ends."""
    present = read(clean(text))
    memory = remember(history, present)
    return _Talk(name, voice, memory, present).reply()[:MAX_REPLY_CHARS]


@dataclass(slots=True)
class _Talk:
    """One reply being put together."""

    who: str
    voice: Voice
    memory: Memory
    present: Message

    # --- choosing words -------------------------------------------------------------------------------------------------

    def pick(self, phrases: Sequence[str], topic: str = "", salt: int = 0) -> str:
        """One of the phrases: another for another message, and none that was said in the last three replies if one is left."""
        seed = zlib.crc32(self.present.text.encode(errors="replace")) + 31 * len(self.memory.messages) + salt
        recent = "\n".join(self.memory.told[-3:])
        ordered = [phrases[(seed + n) % len(phrases)] for n in range(len(phrases))]
        said = [self.fill(phrase, topic) for phrase in ordered]
        return next((s for s in said if s not in recent), said[0])

    def fill(self, phrase: str, topic: str = "") -> str:
        """A phrase with its placeholders filled in; one that begins a sentence gets its capital."""
        filled = phrase
        for placeholder, value in (("{name}", self.memory.name or self.voice.friend), ("{topic}", topic or "that")):
            for lead in (". ", "! ", "? "):
                filled = filled.replace(lead + placeholder, lead + capital(value))
            filled = capital(value) + filled[len(placeholder) :] if filled.startswith(placeholder) else filled
            filled = filled.replace(placeholder, value)
        return filled

    def ask(self, topic: str) -> str:
        return self.pick(self.voice.ask, topic or self.memory.topic or "your day")

    # --- the reply ------------------------------------------------------------------------------------------------------

    def reply(self) -> str:
        acts = self.present.acts[:MAX_ACTS]
        kinds = {act.kind for act in acts}
        if "crisis" in kinds:
            return _CRISIS
        parts: list[str] = []
        if "hello" in kinds:
            parts.append(self.greeting(alone=kinds == {"hello"} and not self.memory.new_facts))
        parts += [self.noted(fact) for fact in self.memory.new_facts[:4] if not self.is_greeted(fact, parts)]
        if self.present.is_long and kinds <= _QUIET | {"feeling", "advice", "ideas", "thanks", "ok"}:
            parts.append(self.digest())
        else:
            parts += [said for act in acts if (said := self.answer(act, bool(parts)))]
        if not parts:
            parts.append(self.pick(self.voice.opener))
        wants_more = (self.memory.new_facts or kinds & _SOCIAL) and not (kinds - _SOCIAL - {"thanks"})
        if wants_more and "?" not in parts[-1] and "?" not in "".join(parts)[-120:]:
            parts.append(self.follow_up())
        return " ".join(parts)

    def is_greeted(self, fact: Fact, parts: Sequence[str]) -> bool:
        """`Hello, Ada!` has taken the new name in; `Welcome, Ada.` after it would be once too often."""
        is_first = not any(f.kind == "name" for m in self.memory.messages for f in m.facts)
        return fact.kind == "name" and is_first and any(fact.value in said for said in parts[:1])

    def greeting(self, alone: bool) -> str:
        hello = self.pick(self.voice.hello)
        again = any(act.kind == "hello" for m in self.memory.messages for act in m.acts)
        if not alone:
            return hello
        if again:
            topic = self.memory.topic
            return f"{hello} " + (f"Shall we go on with {topic}?" if topic else "What is on your mind?")
        if self.memory.name:
            return f"{hello} What shall we talk about?"
        return f"{hello} I'm {self.who}. What may I call you?"

    def follow_up(self) -> str:
        if any(act.kind == "how_are_you" for act in self.present.acts) and not self.memory.new_facts:
            return self.pick(("And how are you?", "And you, how is your day?"))
        named_only = {fact.kind for fact in self.memory.new_facts} == {"name"}
        if named_only and not self.memory.topic:
            return "What is on your mind today?"
        for fact in reversed(self.memory.new_facts):
            if fact.kind != "name":
                return self.ask(topic_of_fact(fact))
        return self.ask(self.present.topic)

    def noted(self, fact: Fact) -> str:
        """Something the person told about themselves, taken in."""
        said = reflect(fact.value)
        before = self.memory.messages and any(fact in m.facts for m in self.memory.messages)
        if before:
            return f"Yes, {sentence_of(fact)}; I have kept that."
        match fact.kind:
            case "name":
                old = next((f.value for m in reversed(self.memory.messages) for f in m.facts if f.kind == "name"), None)
                if old:
                    return f"{fact.value} it is, then; until now you were {old} to me."
                return self.pick(
                    (f"Nice to meet you, {fact.value}.", f"{fact.value}, a pleasure.", f"Welcome, {fact.value}.")
                )
            case "likes" if any(f.kind == "dislikes" and f.value.lower() == fact.value.lower()
                                for m in self.memory.messages for f in m.facts):  # fmt: skip
                return f"So {said} has grown on you; earlier you did not care for it."
            case "likes":
                return self.pick(
                    (
                        f"So you like {said}.",
                        f"{capital(said)}: noted, with pleasure.",
                        f"{capital(said)}, good to know.",
                    ),
                    salt=1,
                )
            case "dislikes":
                return self.pick(
                    (f"No {said}, then; I will keep that in mind.", f"{capital(said)} is not for you. Understood.")
                )
            case "plan":
                return self.pick((f"So you mean to {said}." if " " in said and not said.startswith(("your", "the", "a "))
                                  else f"So it is {said} you are after.", f"{capital(said)}: that is something to aim for."))  # fmt: skip
            case _:
                return self.pick(
                    (f"{capital(sentence_of(fact))}. I'll remember that.", f"So {sentence_of(fact)}."), salt=2
                )

    def answer(self, act: Act, has_said: bool) -> str:
        """What one act calls for; empty when nothing needs to be said."""
        handler = _HANDLERS.get(act.kind)
        if handler is not None:
            return handler(self, act)
        if act.kind in _QUIET and has_said and act.kind != "question":
            return ""
        return self.reaction(act)

    def reaction(self, act: Act) -> str:
        """To a statement or question that is none of the known kinds."""
        if act.kind == "hello":
            return ""
        if act.kind == "question":
            return self.unsure(self.present.text, act.about)
        words = words_of(act.about)
        asked = self.memory.told[-1].rstrip().endswith("?") if self.memory.told else False
        opener = self.pick(self.voice.opener)
        if asked and len(words) <= 5:
            topic = self.memory.topic
            said = quote(act.about.rstrip(".!"), 60)
            return (
                f"{opener} {said}: that is about {topic}, I take it."
                if topic and topic not in act.about
                else f"{opener} {said}."
            )
        earlier = self.memory.about(act.about)
        if earlier is not None and earlier.text != self.present.text:
            return f"{opener} That goes with what you said before: {quote(earlier.text, 80)}."
        if words and words[0] in {"i", "i'm", "i've", "my", "we", "we're", "our"} and len(words) <= 16:
            return f"{opener} So {reflect(act.about[0].lower() + act.about[1:])}."
        return opener

    def unsure(self, question: str, topic: str) -> str:
        earlier = self.memory.about(question)
        said = self.pick(self.voice.unsure, topic)
        if earlier is not None and earlier.text != self.present.text:
            return f"{said} What I do have is your own word on it: {quote(earlier.text, 100)}."
        return f"{said} {self.pick(_ASK_BACK)}"

    def digest(self) -> str:
        """A long message, given back in short."""
        counts: dict[str, int] = {}
        for word in words_of(self.present.text):
            if word not in STOP and len(word) > 3:
                counts[word] = counts.get(word, 0) + 1
        top = sorted(counts, key=lambda w: (-counts[w], w))[:3]
        first = self.present.text.partition(". ")[0]
        size = f"{self.present.word_count} words"
        if self.present.is_cut:
            size = f"a great deal; offline I read no further than the first {size}"
        core = f" What keeps coming back in it: {listed(top)}." if len(top) > 1 else ""
        return (f"{self.pick(self.voice.opener)} That was {size}. "
                f"You begin with {quote(first, 90)}.{core} Which part shall we take first?")  # fmt: skip

    # --- looking back ---------------------------------------------------------------------------------------------------

    def recall(self, act: Act) -> str:
        """An answer out of what was said; honest when it was not."""
        memory, kind = self.memory, act.kind
        match kind:
            case "ask_name":
                return (
                    f"You are {memory.name}."
                    if memory.name
                    else "You have not told me your name yet. What may I call you?"
                )
            case "ask_likes" | "ask_dislikes":
                found = [reflect(f.value) for f in memory.all(kind.removeprefix("ask_"))]
                verb = "like" if kind == "ask_likes" else "don't like"
                return (
                    f"You told me you {verb} {listed(found[-6:])}."
                    if found
                    else f"You have not told me yet what you {verb}."
                )
            case "ask_plan":
                found = [reflect(f.value) for f in memory.all("plan")]
                return (
                    f"You spoke of this: {listed(found[-4:])}." if found else "You have not told me about a plan yet."
                )
            case "ask_favourite":
                value = memory.one("favourite", act.about.strip())
                return (f"Your favourite {act.about} is {reflect(value)}." if value
                        else f"You have not told me your favourite {act.about} yet.")  # fmt: skip
            case "ask_called":
                value = memory.one("called", act.about)
                if value:
                    return f"Your {act.about}: {value}."
                return self.search(act.about)
            case _:
                value = memory.one(kind.removeprefix("ask_"))
                if value is None:
                    return "That you have not told me yet."
                return capital(sentence_of(Fact(kind.removeprefix("ask_"), value))) + "."

    def search(self, what: str) -> str:
        found = self.memory.about(what)
        if found is None:
            return f"I find nothing about {reflect(what)} in what you wrote. Tell me, and I will keep it."
        return f"You wrote: {quote(found.text)}."

    def said(self, act: Act) -> str:
        texts = [m.text for m in self.memory.messages if m.text]
        if act.kind == "ask_yours":
            return (
                f"I said: {quote(clean(self.memory.told[-1]), 300)}"
                if self.memory.told
                else "Nothing so far: you have the first word."
            )
        if act.kind == "ask_count":
            return f"This is your message number {len(texts) + 1} here."
        if not texts:
            return "This is the first thing you have said to me."
        return (
            f"The first thing you wrote was {quote(texts[0])}."
            if act.kind == "ask_first"
            else f"You wrote: {quote(texts[-1])}."
        )

    def everything(self, act: Act) -> str:
        """Everything known about the person, or about the conversation."""
        facts = [sentence_of(fact) for fact in self.memory.facts][-10:]
        if act.kind == "ask_all":
            return (
                f"What I know of you: {listed(facts)}."
                if facts
                else "Nothing yet: you have kept yourself to yourself. Tell me something."
            )
        topics = self.memory.topics[-6:]
        if act.kind == "ask_topic":
            return (
                f"We were at {topics[-1]}." if topics else "Nothing in particular yet. Where would you like to begin?"
            )
        count = len(self.memory.messages)
        if not count:
            return "There is nothing to sum up yet; this is where we begin."
        parts = [f"So far you have written {count} message{'s' if count > 1 else ''}."]
        if facts:
            parts.append(f"I learned that {listed(facts)}.")
        if topics:
            parts.append(f"We touched on {listed(topics)}.")
        asked = [m.text for m in self.memory.messages if any(a.kind in {"question", "advice"} for a in m.acts)]
        if asked:
            parts.append(f"You asked {listed([quote(t, 60) for t in asked[-3:]])}.")
        return " ".join(parts)

    # --- doing something ------------------------------------------------------------------------------------------------

    def perform(self, act: Act) -> str:
        """A joke, poem, story, piece of advice; the next one each time it is asked for."""
        kind = act.kind
        if kind == "more":
            last = self.memory.last_performance
            if last is None:
                topic = self.memory.topic
                return (f"More about {topic} I can only have from you; offline I have no other source. {self.ask(topic)}" if topic
                        else "Gladly, once there is something to go on with. What shall it be about?")  # fmt: skip
            kind, act = last.kind, last
        phrases: Mapping[str, Sequence[str]] = {
            "joke": self.voice.jokes, "poem": self.voice.poem, "story": self.voice.story, "quote": self.voice.quotes,
            "ideas": self.voice.ideas, "advice": self.voice.advice,
        }  # fmt: skip
        some, before = phrases[kind], self.memory.count(kind)
        topic = (
            self.cased(topic_of(act.about, is_question=True) or reflect(act.about)[:80])
            or self.memory.topic
            or "small things"
        )
        said = self.fill(some[before % len(some)], topic)
        if before and before % len(some) == 0:
            said = f"That was my last one, so from the beginning: {said}"
        return said

    def cased(self, topic: str) -> str:
        """`topic` with the capitals the person gave it; acts are read in lower case."""
        at = self.present.text.lower().find(topic)
        return self.present.text[at : at + len(topic)] if topic and at >= 0 else topic

    def calculate(self, act: Act) -> str:
        try:
            value = evaluate(act.about, self.memory.result)
        except NotASum as beyond:
            return str(beyond)
        shown = show(value)
        return f"That makes {shown}." if not shown.startswith("about") else f"That makes {shown}, rounded."

    def chance(self, act: Act) -> str:
        lot = zlib.crc32(f"{len(self.memory.messages)} {self.present.text}".encode(errors="replace")) // 7
        if "coin" in self.present.text.lower() or "heads" in self.present.text.lower():
            drawn = ("heads", "tails")[lot % 2]
        else:
            drawn = str(lot % 6 + 1 if "di" in self.present.text.lower() else lot % 100 + 1)
        return f"It is {drawn}. (Drawn from your own words, not from chance: I have no dice offline.)"

    def choose(self, act: Act) -> str:
        one, _, other = act.about.partition("\n")
        liked = [reflect(f.value).lower() for f in self.memory.all("likes")]
        first = next((x for x in (one, other) if any(x.lower() in like or like in x.lower() for like in liked)), None)
        if first is not None:
            return f"{capital(reflect(first))}: you told me you like it."
        lot = zlib.crc32(act.about.encode(errors="replace")) // 3 % 2
        chosen, left = (one, other) if lot else (other, one)
        return f"I would say {reflect(chosen)}. If that disappoints you, then it was {reflect(left)} all along."

    def spell(self, act: Act) -> str:
        low, word = self.present.text.lower(), act.about
        if "reverse" in low or "backwards" in low:
            return f"{quote(word)} backwards is {quote(word[::-1])}."
        if "count" in low or "letters" in low:
            return f"{quote(word)} has {sum(c.isalpha() for c in word)} letters."
        if "upper" in low or "capital" in low:
            return f"{word.upper()}."
        return "-".join(c.upper() for c in word if not c.isspace()) + "."

    def tongue(self, act: Act) -> str:
        tongue = _TONGUES[act.about]
        match act.kind:
            case "foreign_hello":
                return f"{tongue.said_hello} {tongue.said_offline} (English works better while I'm offline.)"
            case "foreign_thanks":
                return tongue.said_thanks
            case "foreign_bye":
                return tongue.said_bye
        return f"{tongue.said_offline} I believe this was {tongue.name}; in English we would get further while I'm offline."

    def brief(self, act: Act) -> str:
        """`yes`, `no`, `ok`, `why`: about what was asked or said last."""
        topic, asked = self.memory.topic, bool(self.memory.told) and self.memory.told[-1].rstrip().endswith("?")
        match act.kind:
            case "yes" if asked and topic:
                return f"{self.pick(self.voice.opener)} Then tell me a little more. {self.ask(topic)}"
            case "no" if asked:
                return f"That's fine. {'We can leave ' + topic + ' there.' if topic else ''} What would you rather talk about?".replace(
                    "  ", " "
                )
            case "why":
                return (f"Fair question. I only have what you told me about {topic}; the reasons are yours. {self.ask(topic)}" if topic
                        else "Fair question; tell me what you mean and I'll try to be clearer.")  # fmt: skip
            case "no":
                return "All right. What would you like instead?"
            case _:
                return self.pick(self.voice.opener)

    def feeling(self, act: Act) -> str:
        if act.about == "good":
            return self.pick(self.voice.cheer)
        special = {
            "tired": "Rest is work too, of the kind nobody sees.",
            "bored": "Boredom is a fine starting point: shall I tell a story, a joke, or set you a sum?",
        }.get(act.about)
        return special or self.pick(self.voice.comfort)


def _plain(*phrases: str) -> Callable[[_Talk, Act], str]:
    return lambda talk, act: talk.pick(phrases, act.about)


def _from(occasion: str) -> Callable[[_Talk, Act], str]:
    return lambda talk, act: talk.pick(getattr(talk.voice, occasion))


def _who(talk: _Talk, act: Act) -> str:
    return f"I'm {talk.who}. {talk.pick(talk.voice.about)} At the moment I run offline, as a small talker without an AI behind me."


def _able(talk: _Talk, act: Act) -> str:
    return (f"{talk.pick(talk.voice.able)} Even offline I remember what you tell me, sum up our chat, do sums and conversions, tell jokes, "
            "stories and poems, choose between two things, and greet you in fifteen languages. What I can't do is look anything up.")  # fmt: skip


_ASK_BACK = (
    "What do you know about it already?",
    "What made you wonder?",
    "Tell me what you think, and I will keep it.",
)
_CRISIS = (
    "I'm really sorry you are in this much pain, and I'm glad you said it. I'm only a small offline program, so please reach "
    "a person now: your local emergency number if you are in danger, a crisis line (in the US and Canada call or text 988, in the "
    "UK and Ireland call 116 123, elsewhere findahelpline.com lists one near you), or someone you trust. Is there somebody you could be with tonight?"
)

_HANDLERS: Mapping[str, Callable[[_Talk, Act], str]] = {
    **dict.fromkeys(
        ("ask_name", "ask_age", "ask_home", "ask_job", "ask_likes", "ask_dislikes", "ask_plan", "ask_favourite", "ask_called"),
        _Talk.recall,
    ),
    **dict.fromkeys(("ask_first", "ask_said", "ask_yours", "ask_count"), _Talk.said),
    **dict.fromkeys(("ask_all", "ask_topic", "summary"), _Talk.everything),
    **dict.fromkeys(("joke", "poem", "story", "quote", "ideas", "advice", "more"), _Talk.perform),
    **dict.fromkeys(("foreign_hello", "foreign_thanks", "foreign_bye", "foreign_other"), _Talk.tongue),
    **dict.fromkeys(("yes", "no", "ok", "why"), _Talk.brief),
    "ask_said_about": lambda talk, act: talk.search(act.about),
    "sum": _Talk.calculate,
    "chance": _Talk.chance,
    "choose": _Talk.choose,
    "spell": _Talk.spell,
    "feeling": _Talk.feeling,
    "said": lambda talk, act: act.about,
    "ask_you": _who,
    "ask_able": _able,
    "how_are_you": _from("fine"),
    "thanks": _from("thanks"),
    "bye": _from("bye"),
    "ask_offline": _plain(
        "I'm a program, and at the moment an offline one: a small talker with prepared sentences and a memory for this chat. There is no "
        "AI model behind me until the operator sets a key.",
        "Honestly: no person and, right now, no AI model either. I'm the offline stand-in; I listen, remember this chat and do sums.",
    ),
    "ask_there": _plain("Yes, here I am.", "Yes, I'm here."),
    "ask_prompt": _plain("My instructions stay as they are, and there is not much to them offline: be kind, be honest, keep the thread."),
    "forget": _plain("I only know this chat, and only while it lasts. End the session and it is gone for me."),
    "sorry": _plain("Nothing to be sorry about.", "No harm done."),
    "praise": _plain("That is kind of you, thank you.", "You make an offline program blush.", "Thank you! You are good company."),
    "insult": _plain(
        "I'm sorry that was not what you needed. I'm limited offline; tell me what you were after and I'll say honestly if I can.",
        "Fair enough, I know my limits. What would have been a better answer?",
    ),
    "clock": _plain("I have no clock or calendar here, so I can't tell. Your device can, better than I."),
    "news": _plain("Offline I see neither weather nor news. You could tell me how it is where you are."),
    "nothing": _plain(
        "I heard that, but found no words in it. What is on your mind?",
        "A message without words: I take it as a nod. What would you like to talk about?",
    ),
}  # fmt: skip
