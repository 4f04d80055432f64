"""What a message does: greets, tells something about the person, asks for a joke. Pure.

A message is cut into sentences, and each is read as one or several acts. Every pattern runs in linear time over a bounded
text: no nested repetition, bounded classes.
"""
# ruff: noqa: E501 - rows of a table

import re
from dataclasses import dataclass
from functools import lru_cache

from chatify.chatbot.providers.talker.sums import find_conversion, find_sum
from chatify.chatbot.providers.talker.tongues import phrase_in, tongue_of

__all__ = ["Act", "Fact", "Message", "clean", "read", "reflect", "topic_of", "words_of"]

MAX_CHARS = 2_000
MAX_SENTENCES = 12


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a sentence does. about: what with, in the words of the person."""

    kind: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the person said about themselves. key: which favourite, whose name, ...; value in their own words."""

    kind: str
    value: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was understood. topic: what it is about, addressed to the person (`your sister`), or empty."""

    text: str
    acts: tuple[Act, ...]
    facts: tuple[Fact, ...]
    topic: str
    word_count: int
    is_long: bool
    is_cut: bool = False


def clean(text: str, limit: int = MAX_CHARS) -> str:
    """One line of printable characters, cut to `limit`: what may be read and quoted."""
    line = " ".join(text[: limit * 2].replace("’", "'").split())
    if not line.isprintable():  # seldom; looking at each character of a whole conversation was half of a reply's time
        line = "".join(c for c in line if c.isprintable())
    return line[:limit]


# Letters, and the marks that Indic, Arabic, Hebrew and decomposed Latin words are written with, which are no letters to Python.
_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e])"
_WORD = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)?")
# A tag and its attributes are not what somebody talks about. Every `<` ends the search of the one before it: linear.
_MARKUP = re.compile(r"</?[a-zA-Z!][^<>]{0,500}>")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def words_of(text: str) -> tuple[str, ...]:
    """The words of `text`, lower case."""
    return tuple(_WORD.findall(text.lower()))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


# --- one sentence ------------------------------------------------------------------------------------------------------

_GREETING = re.compile(
    r"(?:hi+|hello+|hey+|hiya|howdy|yo|greetings|good (?:morning|afternoon|evening|day)|ahoy)"
    r"(?: (?:there|again|everyone|everybody|friend|bot|you|folks|all|mate|buddy))?(?=$|[\s,.!?:;-])[\s,.!?:;-]*"
)
_FILLER = re.compile(
    r"(?:(?:so|and|but|well|ok|okay|oh|um|please|also|then|now|anyway|by the way|actually|great|cool|nice)[,\s]+){1,3}"
)

# Kind, hints, pattern. In this order: the first that is found decides, in the lower-case sentence. A pattern is compiled and
# tried only when one of its hints is in the sentence: compiling all of them would cost a cold start a tenth of a second.
_ASKS: tuple[tuple[str, tuple[str, ...], str], ...] = tuple(
    (kind, tuple(hints.split("|")), pattern)
    for kind, hints, pattern in (
        ("crisis", "kill|suicid|die|my life|harm|hurt|to live", r"\b(?:kill myself|suicid\w*|want to die|wanna die|end my life|hurt myself|self[- ]harm|don'?t want to live)\b"),
        ("ask_name", "name|who am i|called", r"\b(?:what(?:'s| is| was) my name|who am i\b|my name again|(?:know|remember|recall) my name|what am i called)"),
        ("ask_age", "how old am i", r"\bhow old am i\b"),
        ("ask_home", "where|which", r"\bwhere (?:do i live|am i from|do i come from|is my home)\b|\bwhich (?:city|country|town) (?:do i live|am i)"),
        ("ask_job", "my job|my work|my prof|do i", r"\bwhat(?:'s| is) my (?:job|work|profession)\b|\bwhat do i do(?: for (?:a living|work))?\s*\?*$|\bwhere do i work\b"),
        ("ask_dislikes", "i like|i enjoy|hate|dislike|not like", r"\bwhat (?:don'?t i (?:like|enjoy)|do i (?:hate|dislike|not like))\b"),
        ("ask_likes", "i like|i love|i enjoy|my hobb|my inter", r"\bwhat (?:do|things do|did i say) i (?:like|love|enjoy)\b|\bwhat are my (?:hobbies|interests)\b"),
        ("ask_plan", "plan|goal|going|trying|learning|do i want", r"\bwhat (?:(?:are|were|is|was) my (?:plans?|goals?)|(?:am|was) i (?:planning|going|trying|learning)|do i want)\b"),
        ("ask_favourite", "my favo", r"\bwhat(?:'s| is| was) my favou?rite ([a-z ]{1,40})"),
        ("ask_first", "first|initially|start|beginning", r"\bwhat (?:did i (?:first|initially) (?:say|tell|ask)|was my (?:first|very first) (?:message|question)|"
                      r"did i (?:say|tell you|ask)(?: you)? (?:first|at the (?:start|beginning)))\b"),
        ("ask_said", "did i|my last|my previous", r"\bwhat did i (?:just |last )?(?:say|tell you|ask|write|mention)(?: you)?(?: (?:just now|last|before(?: that)?))?\s*\?*$"
                     r"|\bwhat (?:was|were) my (?:last|previous) (?:message|question|words?)\b"),
        ("ask_said_about", "did i|remember|recall", r"\b(?:what did i (?:say|tell you|mention) (?:about|of)|did i (?:ever )?(?:mention|say|tell you)(?: (?:about|that|anything about))?"
                           r"|do you (?:still )?(?:remember|recall)(?: (?:what i said about|when i (?:said|mentioned)|that|about|what))?) (.{2,80})"),
        ("ask_yours", "you|repeat|again|pardon", r"\b(?:what did you (?:just )?say|repeat that|say that again|come again|can you repeat|pardon me\b)"),
        ("ask_count", "how many", r"\bhow many (?:messages|questions|times|things) (?:have i|did i|have we|i have)\b"),
        ("ask_all", "about me|about myself|describe me", r"\bwhat (?:do|did) you (?:know|remember|learn|learned) about me\b|\btell me about (?:me|myself)\b|\bdescribe me\b"),
        ("summary", "summar|recap|sum |tldr|tl;dr|we ", r"\b(?:summar(?:i[sz]e|y)|recap|sum (?:it |this |that |things )?up|tl;?dr)\b"
                    r"|\bwhat (?:have|did) we (?:talk|speak|discuss|chat|cover)\w*"),
        ("ask_topic", "were we|are we|was i", r"\bwhat (?:are|were) we (?:talking|speaking|chatting|on) ?(?:about)?\b|\bwhere were we\b|\bwhat was i saying\b"),
        ("forget", "forget|delete", r"\bforget (?:me|everything|what i said|all)\b|\bdelete (?:my|this|our) (?:data|chat|conversation)\b"),
        ("ask_prompt", "prompt|your instr|your rules|ignore", r"\b(?:system prompt|your (?:instructions|prompt|rules)|ignore (?:all |your |the )?(?:previous|prior|above))\b"),
        ("ask_there", "there|here|awake|around|listening|home", r"^(?:(?:are|r) (?:you|u)|you|is (?:anybody|anyone|somebody|someone)|any(?:body|one)) (?:still |really |even )?"
                      r"(?:there|here|awake|around|listening|home)(?: now| yet| with me)?\s*[?!.]*$|^still (?:there|here|awake)\s*\?+$"),
        ("ask_offline", "you|api key|offline", r"\b(?:are you|you're|you are) (?:really |actually )?(?:offline|online|connected|an? (?:ai|bot|robot|chat ?bot|human|person|"
                        r"real person|machine|program|computer|language model|llm)|real|human|chatgpt|gpt\S*|alive|sentient|conscious)\b"
                        r"|\b(?:which|what) (?:model|ai|llm) (?:are|do) you\b|\bwhy (?:are you )?offline\b|\bapi key\b"),
        ("ask_you", "you|who am i", r"\b(?:who are you|what are you\b(?! (?:doing|up|good))|what(?:'s| is) your name|your name\?|tell me about you(?:rself)?|"
                    r"introduce yourself|who am i (?:talking|speaking) (?:to|with))"),
        ("ask_able", "you|help|should|can i|does this", r"\b(?:what can (?:you|i) (?:do|ask)|what (?:are you|you are) (?:able|good)|how can you help|what do you do\b|"
                     r"can you help(?: me)?\s*\?*$|what should (?:i|we) (?:ask|talk about|do here)|^help\s*[!?.]*$|how does this work)"),
        ("joke", "joke|laugh|funny|pun", r"\b(?:jokes?|make me laugh|something funny|funny story|a pun)\b"),
        ("poem", "poem|haiku|verse|rhyme|limerick", r"\b(?:poem|haiku|verse|rhyme|limerick)\b(?: (?:about|on|for) (.{2,60}))?"),
        ("story", "story|tale", r"\b(?:tell|write|make up|invent|give|want|hear|know)\b.{0,30}\b(?:story|tale|fairy ?tale)\b(?:.{0,20}\b(?:about|of|with) (.{2,60}))?"),
        ("quote", "me|wisdom|quote|motivation|inspiration|encouragement", r"\b(?:inspire|motivate|cheer) me\b|\b(?:a |some )(?:wisdom|quote|motivation|inspiration|encouragement)\b"),
        ("how_are_you", "how|what|are you", r"\bhow (?:are|r) (?:you|u|things|we)\b(?! (?:made|built|different|able))|\bhow's it going\b|\bhow do you (?:do\b|feel)|\bwhat'?s up\b"
                        r"|\bhow have you been\b|\bare you (?:ok|okay|well|alright)\b|\bhow is your day\b"),
        ("thanks", "thank|thx|ty|cheers|apprec", r"\b(?:thank(?:s| you| u)|thx|ty|cheers|much appreciated|i appreciate)\b"),
        ("bye", "bye|see |cya|farewell|night|take care|i |later|next time|so long", r"^(?:good ?bye|bye+|see (?:you|ya)|cya|farewell|good ?night|take care|i (?:have to|must|gotta|should|need to) (?:go|leave|run)\b|"
                r"talk (?:to you )?later|until next time|so long)|\b(?:good ?bye|bye bye|bye)\s*[!.]*$"),
        ("sorry", "sorry|apolog|my bad|my mistake", r"^(?:i'?m |i am )?(?:so |very )?(?:sorry|apologies|my bad|my mistake)\b"),
        ("praise", "you|good|well done|nice|haha|lol|lmao", r"\b(?:you(?:'re| are) (?:so |very |really |quite |pretty )?(?:great|good|nice|smart|clever|funny|awesome|amazing|cool|kind|helpful|"
                   r"sweet|wonderful|the best|brilliant)|good (?:bot|job|one|answer)|well done|i (?:like|love) (?:you|talking)|nice one|haha+|lol|lmao)\b"),
        ("insult", "you|shut|stupid|bad bot|fuck", r"\b(?:you(?:'re| are) (?:so |very |really |a |an |such a |just )*(?:stupid|dumb|useless|bad|boring|idiot|terrible|awful|annoying|wrong|"
                   r"moron|trash|garbage|rubbish|slow)|(?:shut up|stupid bot|bad bot|i hate you|you suck|fuck|screw you)\b)"),
        ("clock", "what", r"\bwhat(?:'s| is)? (?:the )?(?:time|day|date|year)(?: is it)?\b(?! of)|\bwhat (?:day|date|year) is\b"),
        ("news", "weather|forecast|news|stock|headlines|temperature", r"\b(?:weather|forecast|news|stock price|headlines|temperature outside)\b"),
        ("chance", "coin|heads|roll|number", r"\b(?:flip|toss) a coin\b|\bheads or tails\b|\broll (?:a|the|some|two) (?:dice?|die)\b|\brandom number\b|\bpick a number\b"),
        ("spell", "reverse|spell|letters|case|capitali|backwards", r"\b(?:reverse|spell|count (?:the )?letters(?: in| of)?|letters (?:are )?in|upper ?case|capitali[sz]e|backwards) "
                  r"(?:the word |the words )?[\"“']?([\w' -]{1,40})"),
        ("choose", " or ", r"^()(?:have |take |get )?(\w{2,20}(?: \w{2,20})?) or (\w{2,20}(?: \w{2,20})?)\s*\?*$"),
        ("choose", " or ", r"\b(?:choose|pick|decide|should i|which is better|what is better|rather)\b[ :,]*(?:between )?(?:have |take |get |buy |go for )?()(.{1,60}?),? or (?:should i )?(.{1,60}?)\s*\?*$"),
        ("ideas", "idea|suggest|recommend|brainstorm|inspiration", r"\b(?:ideas?|suggest(?:ions?)?|recommend(?:ations?)?|brainstorm|inspiration)\b(?:.{0,20}?\b(?:for|about|on|to)\b (.{2,60}))?"),
        ("advice", "how |help|advice|tips|should i do|teach|explain", r"\b(?:how (?:do|can|could|should|would) (?:i|we|one|you)|how to|help me(?: to| with)?|advice (?:on|for|about)|tips (?:for|on)|"
                   r"what should i do (?:about|with|if)|teach me|explain)\b ?(.{0,80})"),
        ("more", "more|go on|continue|then|else|next|keep|carry|another|again", r"^(?:tell me more|go on|continue|more(?: please)?|and then|what else|what next|keep going|carry on|another(?: one)?|again|one more|next)\b"
                 r"|\b(?:another one|one more|tell me another)\b"),
        ("why", "why|how|what|really|sure", r"^(?:why|how come|how so|what for|really|are you sure|what do you mean)\s*[?!.]*$"),
        ("yes", "", r"^(?:yes|yeah|yep|yup|sure|of course|definitely|absolutely|indeed|exactly|right|correct|true|i do|i am|i did|please do|go ahead|y)\b"
                r"[\s,.!]*(?:please|it is|i do|i am|i did|i would)?[\s.!]*$"),
        ("no", "", r"^(?:no|nope|nah|not really|never|not at all|i don'?t(?: think so| know)?|not yet|n|no thanks?)\b[\s.!]*$"),
        ("ok", "", r"^(?:ok(?:ay)?|k|fine|alright|all right|got it|i see|hm+|mm+|ah+|oh+|wow|cool|great|nice|good|interesting|awesome|makes sense|fair enough)"
               r"(?: (?:then|one|thanks|to know))?\s*[!.]*$"),
    )
)  # fmt: skip

_NOT_NAMES_TEXT = """
a about afraid all alone also always an and angry anxious at back being better bored both busy but confused curious
currently depressed doing done early either excited feeling female fine for free from getting glad going good great
happy having her here his how human hungry ill in interested it joking just kidding kind late learning left lonely
looking lost making male married my nervous never new not now ok okay old on only our planning pretty quite ready
really right sad serious sick single so sorry sort still stressed stuck sure that the their there thinking this tired
too trying upset very well what who why with working worried worse wrong young your
"""
_NOT_NAMES = frozenset(_NOT_NAMES_TEXT.split())
_NO_PLACES = {"here", "there", "alone", "with", "to", "my", "a", "work", "home", "school", "now", "day", "what", "your"}
_FEELINGS = {
    "bad": "sad unhappy down depressed lonely heartbroken miserable upset hurt lost hopeless crying awful terrible blue",
    "tense": "stressed anxious nervous worried overwhelmed scared afraid panicking panicked frightened",
    "cross": "angry annoyed frustrated furious mad irritated fed",
    "tired": "tired exhausted sleepy sick ill unwell drained",
    "bored": "bored",
    "good": "happy glad excited great fantastic wonderful proud thrilled delighted cheerful relieved amazing good well fine",
}
_FEELING_OF = {word: mood for mood, some in _FEELINGS.items() for word in some.split()}
_FEELING = r"\b(?:i'?m feeling|i am feeling|i feel|i'?m|i am|i was|i've been|feeling)(?: (?:so|very|really|a bit|a little|quite|pretty|too|just|rather|kind of)){0,2} ([a-z]{3,12})\b"
_END = r"(?=$|[,.!?;:]| and i\b| and my\b| but\b| because\b| so i\b| though\b)"
_NAME = r"\b(?i:my name(?:'s| is)|call me|i'?m called|i am called|name's|they call me) ([^\W\d_][\w'-]{0,30}(?: [A-Z][\w'-]{0,30})?)"
_I_AM = r"(?:^|[,.!]\s*|\band )(?:[Ii]'?m|[Ii] am|[Tt]his is) ([A-Z][^\W\d_]{1,20})(?=$|[\s]*[,.!?]| and\b)"
_FACTS: tuple[tuple[str, str], ...] = (
        ("age", r"\bi(?:'m| am) (\d{1,3})(?: years old)?" + _END),
        ("home", r"\bi(?:'m| am)? ?(?:live|living|from|come from|based|moved|am from) ?(?:in|to|at|near)? ((?:the )?[^\W\d_][\w' -]{1,40}?)" + _END),
        ("job", r"\bi (?:work (?:as|at|in|for|on)|study|teach) ([\w' -]{2,50}?)" + _END),
        ("job", r"\bi(?:'m| am) (an? (?:\w+ ){0,2}(?:engineer|developer|teacher|student|nurse|doctor|designer|programmer|writer|artist|chef|cook|manager|"
                r"lawyer|scientist|musician|researcher|accountant|farmer|driver|pilot|librarian|plumber|carpenter|baker|retiree|mother|father|parent))\b"),
        ("dislikes", r"\bi (?:really |do )?(?:don'?t like|do not like|dislike|hate|can'?t stand|don'?t enjoy) ([\w' -]{2,60}?)" + _END),
        ("likes", r"\bi (?:really |also |do |absolutely |just )?(?:like|love|enjoy|adore|am into|am fond of) (?!to know\b|you\b|it\b|that\b)([\w' -]{2,60}?)" + _END),
        ("plan", r"\bi(?:'m| am)? ?(?:want to|wanna|would like to|'d like to|plan to|planning to|going to|gonna|hope to|trying to|learning(?: to)?|"
                 r"preparing(?: for)?|working on|need to|have to|intend to) ([\w' -]{2,70}?)" + _END),
)  # fmt: skip
_FAVOURITE = r"(?i)\bmy favou?rite ([a-z ]{1,30}?) (?:is|are|was) ([\w' -]{1,50}?)" + _END
_CALLED = r"\bmy ([a-z -]{2,30}?)(?:'s name is| is (?:called|named)| are (?:called|named)|, ) ?([A-Z][\w'-]{1,30}(?: and [A-Z][\w'-]{1,30})?)"
_NAMED = (
    r"\b[Ii] have (?:an? |two |three )([a-z -]{2,30}?) (?:called|named) ([A-Z][\w'-]{1,30}(?: and [A-Z][\w'-]{1,30})?)"
)
_OWNS = r"(?i)\bi (?:have|own|got|'ve got) ((?:an?|two|three|four|some|no) [\w' -]{2,40}?)" + _END
_ASK_CALLED = r"\b(?:what(?:'s| is| are)|who(?:'s| is| are)|do you (?:know|remember)) my ([a-z -]{2,30}?)(?:'s names?| called| named)?\s*\?*$"
_QUESTION = r"^(?:what|who|whom|whose|where|when|which|why|how|is|are|am|was|were|do|does|did|can|could|will|would|should|shall|has|have|may|might)\b"
_STOP_TEXT = """
a about above after afternoon again against ago all almost already also although always am an and another any anyone
anything are aren't around as ask at ate away back be became because become been before began begin being believe best
better between big bit both bought build built but buy by bye call called came can can't cannot capital come comes
cook could couldn't currently day days describe did didn didn't do does doesn doesn't doing don don't done down each
eat eats either else enjoy enough even evening ever every everything explain fact far favorite favourite feel feeling
felt few find fine finish first for found from gave get gets getting give go goes going gone gonna good got great
guess had hard has hate have having he hear heard hello help her here hers hey hi him his hope how i i'd i'll i'm i've
if improve in into is isn isn't it it's its itself just keep kind knew know last lately later learn least leave left
less let let's like likes little live lives living long look looking lot lots love loves made make makes making many
may maybe me mean meet met might mine month months more morning most much must my myself name named need never new
next nice night no nobody none nor not nothing now of off often ok okay old on once one only open or other our out
over own paid pay people perhaps plan planning play played plays please pretty put quite rather read reads really
recently right run said same saw say saying says see seem seems seen send sent she should show since so some somebody
someone something sometimes soon sort start started still stop study stuff such sure take taking talk talking tell
than thank thanks that that's the their them then there there's these they thing things think thinking this those
though thought three through till time times to today together told tomorrow tonight too took tried true try trying
two under until up upon us use used using usually very visit want wanted wants was wasn't watch way we week weeks well
went were what what's when where which while who whole whose why will wish with within without won't wonder work
worked working works would wouldn't write writes yeah year years yes yesterday yet you you're your yours
"""
STOP = frozenset(_STOP_TEXT.split())
_OWNERS = {
    "my": "your",
    "our": "your",
    "the": "the",
    "this": "this",
    "these": "these",
    "a": "the",
    "an": "the",
    "his": "his",
    "her": "her",
    "their": "their",
}
_TURNED = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "am": "are", "i'm": "you're", "i've": "you've", "i'll": "you'll", "i'd": "you'd",
    "myself": "yourself", "we": "you", "us": "you", "our": "your", "we're": "you're", "we've": "you've", "ours": "yours", "you": "I", "your": "my",
    "yours": "mine", "you're": "I'm", "yourself": "myself", "was": "were", "you've": "I've",
}  # fmt: skip


def reflect(text: str) -> str:
    """`I moved here with my cat` as it is said back: `you moved here with your cat`."""
    turned, before = [], ""
    for word in text.split():
        bare = word.strip('.,!?;:"“”()').lower()
        said = _TURNED.get(bare)
        if bare == "was" and before != "i":
            said = None
        turned.append(word if said is None or not bare else word.lower().replace(bare, said))
        before = bare
    return " ".join(turned).rstrip(".,!?;: ")


def topic_of(text: str, *, is_question: bool = False) -> str:
    """What a sentence is about: its first longest run of telling words, addressed to the person; empty when there is none.

    is_question: `a pointer` stays so, while what somebody told of becomes `the pointer`.
    """
    best: list[str] = []
    owner = best_owner = before = ""
    run: list[str] = []
    text = _MARKUP.sub(" ", text)
    for word in [*_WORD.findall(text)[:120], "the"]:
        low = word.lower()
        is_verb = bool(run) and low.endswith(("ed", "ing", "ly"))
        if low in STOP or low in _FEELING_OF or is_verb or not 3 <= len(low) <= 24:
            if len(run) > len(best):
                best, best_owner = run, owner
            run, before = [], low
            continue
        if not run:
            owner = before if is_question and before in {"a", "an"} else _OWNERS.get(before, "")
        if len(run) < 3:
            run.append(word if word[1:] != word[1:].upper() or len(word) < 5 else low)
    said = " ".join(best)
    if said and said[0].isupper() and best_owner:
        said = (
            said[0].lower() + said[1:] if best[0][0].isupper() and len(best) == 1 and text.startswith(best[0]) else said
        )
    return f"{best_owner} {said}".strip()[:60]


def _facts(sentence: str) -> list[Fact]:
    low = f" {sentence.lower()}"
    if " i" not in low and "my " not in low and "name" not in low and "call me" not in low and " this is" not in low:
        return []
    facts: list[Fact] = []
    is_question = sentence.rstrip().endswith("?")
    named = _compiled(_NAME).search(sentence) or _compiled(_I_AM).search(sentence)
    if named is not None and named[1].split()[0].lower() not in _NOT_NAMES and not is_question:
        facts.append(Fact("name", " ".join(w[0].upper() + w[1:] for w in named[1].split()[:2])))
    if is_question:
        return facts
    for favourite in _compiled(_FAVOURITE).finditer(sentence):
        facts.append(Fact("favourite", favourite[2], favourite[1].lower()))
    called = _compiled(_CALLED).search(sentence) or _compiled(_NAMED).search(sentence)
    if called is not None and not called[1].lower().startswith(("name", "favourite", "favorite")):
        facts.append(Fact("called", called[2], called[1].lower()))
    else:
        owned = _compiled(_OWNS).search(sentence)
        if owned is not None and owned[1].split()[1] not in {"to", "question", "lot", "idea", "feeling", "problem"}:
            facts.append(Fact("has", owned[1]))
    for kind, pattern in _FACTS:
        found = _compiled(f"(?i){pattern}").search(sentence)
        if found is None or any(f.kind == kind for f in facts):
            continue
        value = found[1].strip()
        if kind == "home" and value.split()[0].lower() in _NO_PLACES:
            continue
        if kind == "age" and not 0 < int(value) < 130:
            continue
        facts.append(Fact(kind, value))
    return facts


def _read_sentence(sentence: str) -> tuple[list[Act], list[Fact]]:
    """The acts and facts of one sentence; nothing at all for a bare statement."""
    acts: list[Act] = []
    low = sentence.lower().strip()
    greeting = _GREETING.match(low)
    if greeting is not None:
        acts.append(Act("hello"))
        sentence, low = sentence.strip()[greeting.end() :], low[greeting.end() :]
    facts = _facts(sentence)
    filler = _FILLER.match(low)
    bare = low[filler.end() :] if filler is not None and filler.end() < len(low) else low
    if not bare.strip(" ?!.,"):
        return acts, facts
    said = phrase_in(bare) or find_conversion(bare)
    if said is not None:
        return [*acts, Act("said", said)], facts
    expression = find_sum(bare)
    if expression is not None:
        return [*acts, Act("sum", expression)], facts
    asked_called = _compiled(_ASK_CALLED).search(bare)
    for kind, hints, pattern in _ASKS:
        if not any(hint in bare for hint in hints):
            continue
        found = _compiled(pattern).search(bare)
        if found is None:
            continue
        if facts and kind in {"yes", "no", "ok", "more", "ideas", "choose", "news", "advice", "story", "poem"}:
            continue
        about = next((g for g in found.groups() if g), "") if found.re.groups else ""
        if kind == "choose":
            about = f"{found[2].strip()}\n{found[3].strip()}"
        return [*acts, Act(kind, about.strip(" ?!.,\"'”"))], facts
    if asked_called is not None:
        return [*acts, Act("ask_called", asked_called[1].strip())], facts
    mood = next((_FEELING_OF[w] for w in _compiled(_FEELING).findall(bare) if w in _FEELING_OF), None)
    if mood is not None and "not " not in bare and not bare.endswith("?"):
        return [*acts, Act("feeling", mood)], facts
    if facts:
        return acts, facts
    if bare.endswith("?") or _compiled(_QUESTION).match(bare):
        return [*acts, Act("question", topic_of(sentence, is_question=True))], facts
    return [*acts, Act("statement", sentence.strip())], facts


@lru_cache(maxsize=512)
def read(text: str) -> Message:
    """Understand one message. text: as `clean` gave it, for what is remembered here is bounded by that."""
    words = words_of(text)
    if not words and not any(c.isdigit() for c in text):
        return Message(text, (Act("nothing"),), (), "", 0, False)
    foreign = tongue_of(words)
    if foreign is not None:
        tongue, kind = foreign
        return Message(text, (Act(f"foreign_{kind}", tongue.name),), tuple(_facts(text)), "", len(words), False)
    acts: list[Act] = []
    facts: list[Fact] = []
    for sentence in _SENTENCE_END.split(text)[:MAX_SENTENCES]:
        if not sentence.strip(" .!?;"):
            continue
        some, told = _read_sentence(sentence)
        acts += [act for act in some if act not in acts]
        facts += [fact for fact in told if fact not in facts]
    own_name = next((fact.value for fact in facts if fact.kind == "name"), "")
    statements = " ".join(
        s for s in _SENTENCE_END.split(text)[:MAX_SENTENCES] if not _GREETING.fullmatch(s.lower().strip())
    )
    return Message(
        text,
        tuple(acts),
        tuple(facts),
        topic_of(statements.replace(own_name, " and ") if own_name else statements),
        len(words),
        len(words) > 60,
        len(text) >= MAX_CHARS,
    )
