"""A few words in many languages: enough to greet back, to thank, and to say honestly that the rest is beyond it. Pure data."""
# ruff: noqa: E501 - rows of a table

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["TONGUES", "Tongue", "phrase_in", "tongue_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tongue:
    """One language. heard_*: what people write, lower case.   said_*: what is answered.   common: frequent little words."""

    name: str
    heard_hello: tuple[str, ...]
    heard_thanks: tuple[str, ...]
    heard_bye: tuple[str, ...]
    said_hello: str
    said_thanks: str
    said_bye: str
    said_offline: str
    words: tuple[str, str, str, str, str, str]  # hello, goodbye, thank you, please, yes, no
    common: frozenset[str] = frozenset()


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


TONGUES: tuple[Tongue, ...] = (
    Tongue(
        name="Spanish", heard_hello=("hola", "buenos días", "buenos dias", "buenas tardes", "buenas noches", "buenas"),
        heard_thanks=("gracias", "muchas gracias"), heard_bye=("adiós", "adios", "hasta luego", "hasta pronto"),
        said_hello="¡Hola! ¿Qué tal?", said_thanks="¡De nada!", said_bye="¡Hasta luego!",
        said_offline="Estoy sin conexión y solo sé unas pocas frases en español.",
        words=("hola", "adiós", "gracias", "por favor", "sí", "no"),
        common=_set("el la los las un una que de y en es por para con no se lo mi tu está estoy como cómo qué muy pero más yo puedes tengo quiero me te"),
    ),
    Tongue(
        name="French", heard_hello=("bonjour", "salut", "bonsoir", "coucou"), heard_thanks=("merci", "merci beaucoup"),
        heard_bye=("au revoir", "à bientôt", "a bientot", "bonne nuit"),
        said_hello="Bonjour ! Comment ça va ?", said_thanks="De rien !", said_bye="Au revoir, à bientôt !",
        said_offline="Je suis hors ligne et je ne connais que quelques phrases en français.",
        words=("bonjour", "au revoir", "merci", "s'il vous plaît", "oui", "non"),
        common=_set("le la les un une des et est que qui je tu il elle nous vous de du en pour avec pas ne mon ma ton dans sur mais très suis comment peux quel quelle"),
    ),
    Tongue(
        name="German", heard_hello=("hallo", "guten tag", "guten morgen", "guten abend", "servus", "moin"),
        heard_thanks=("danke", "vielen dank", "danke schön", "danke schoen"), heard_bye=("tschüss", "tschüs", "auf wiedersehen", "bis bald"),
        said_hello="Hallo! Wie geht's?", said_thanks="Gern geschehen!", said_bye="Bis bald!",
        said_offline="Ich bin gerade offline und kann nur ein paar Sätze Deutsch.",
        words=("hallo", "auf Wiedersehen", "danke", "bitte", "ja", "nein"),
        common=_set("der die das ein eine und ist ich du er sie wir ihr nicht mit von zu auf für den dem wie was mein meine dein bin bist habe kannst sehr aber auch wo warum"),
    ),
    Tongue(
        name="Italian", heard_hello=("ciao", "buongiorno", "buonasera", "salve"), heard_thanks=("grazie", "grazie mille"),
        heard_bye=("arrivederci", "a presto", "addio"),
        said_hello="Ciao! Come va?", said_thanks="Prego!", said_bye="A presto!",
        said_offline="Sono offline e conosco solo qualche frase in italiano.",
        words=("ciao", "arrivederci", "grazie", "per favore", "sì", "no"),
        common=_set("il lo la gli le un una che di e è per con non si mi ti io tu sono sei come cosa molto ma anche più questo puoi voglio mio mia dove"),
    ),
    Tongue(
        name="Portuguese", heard_hello=("olá", "ola", "oi", "bom dia", "boa tarde", "boa noite"),
        heard_thanks=("obrigado", "obrigada", "muito obrigado"), heard_bye=("tchau", "adeus", "até logo", "até mais"),
        said_hello="Olá! Tudo bem?", said_thanks="De nada!", said_bye="Até logo!",
        said_offline="Estou sem ligação e só sei algumas frases em português.",
        words=("olá", "adeus", "obrigado", "por favor", "sim", "não"),
        common=_set("o a os as um uma que de e em é por para com não se eu você tu meu minha seu como muito mas mais está estou isso quero posso tenho onde"),
    ),
    Tongue(
        name="Dutch", heard_hello=("hoi", "goedemorgen", "goedemiddag", "goedenavond", "goedendag"),
        heard_thanks=("dank je", "dank u", "dankjewel", "bedankt"), heard_bye=("doei", "tot ziens", "tot straks"),
        said_hello="Hoi! Hoe gaat het?", said_thanks="Graag gedaan!", said_bye="Tot ziens!",
        said_offline="Ik ben offline en ken maar een paar zinnen Nederlands.",
        words=("hallo", "tot ziens", "dank je", "alsjeblieft", "ja", "nee"),
        common=_set("de het een en is ik je jij hij zij wij niet met van te op voor dat die wat hoe mijn jouw ben hebt heb kan maar ook naar waar"),
    ),
    Tongue(
        name="Swedish", heard_hello=("hej", "hejsan", "god morgon", "god kväll"), heard_thanks=("tack", "tack så mycket"),
        heard_bye=("hej då", "vi ses"), said_hello="Hej! Hur mår du?", said_thanks="Varsågod!", said_bye="Hej då!",
        said_offline="Jag är offline och kan bara några fraser på svenska.",
        words=("hej", "hej då", "tack", "snälla", "ja", "nej"),
        common=_set("och är jag du han hon vi ni inte med av att på för den det som en ett min din har kan men också var hur vad mycket"),
    ),
    Tongue(
        name="Polish", heard_hello=("cześć", "czesc", "dzień dobry", "dzien dobry", "dobry wieczór"),
        heard_thanks=("dziękuję", "dziekuje", "dzięki"), heard_bye=("do widzenia", "na razie"),
        said_hello="Cześć! Co słychać?", said_thanks="Nie ma za co!", said_bye="Do zobaczenia!",
        said_offline="Jestem offline i znam tylko kilka zdań po polsku.",
        words=("cześć", "do widzenia", "dziękuję", "proszę", "tak", "nie"),
        common=_set("i w na z do nie że się to jest jak co mam mój moja ja ty on ona czy ale dla po jestem chcę gdzie bardzo tak"),
    ),
    Tongue(
        name="Turkish", heard_hello=("merhaba", "selam", "günaydın", "iyi akşamlar"),
        heard_thanks=("teşekkürler", "teşekkür ederim", "sağ ol"), heard_bye=("hoşça kal", "güle güle", "görüşürüz"),
        said_hello="Merhaba! Nasılsın?", said_thanks="Rica ederim!", said_bye="Görüşürüz!",
        said_offline="Çevrimdışıyım ve yalnızca birkaç Türkçe cümle biliyorum.",
        words=("merhaba", "hoşça kal", "teşekkür ederim", "lütfen", "evet", "hayır"),
        common=_set("ve bir bu şu ben sen biz siz değil için ile ne nasıl çok var yok mı mi mu benim senin ama da de daha gibi"),
    ),
    Tongue(
        name="Russian", heard_hello=("привет", "здравствуйте", "здравствуй", "добрый день", "доброе утро", "добрый вечер"),
        heard_thanks=("спасибо", "большое спасибо"), heard_bye=("пока", "до свидания"),
        said_hello="Привет! Как дела?", said_thanks="Пожалуйста!", said_bye="До встречи!",
        said_offline="Я сейчас без сети и знаю по-русски лишь несколько фраз.",
        words=("привет", "до свидания", "спасибо", "пожалуйста", "да", "нет"),
    ),
    Tongue(
        name="Japanese", heard_hello=("こんにちは", "こんばんは", "おはよう", "おはようございます", "やあ"),
        heard_thanks=("ありがとう", "ありがとうございます"), heard_bye=("さようなら", "またね", "じゃあね"),
        said_hello="こんにちは！お元気ですか？", said_thanks="どういたしまして！", said_bye="またね！",
        said_offline="今はオフラインで、日本語は少ししか話せません。",
        words=("こんにちは", "さようなら", "ありがとう", "お願いします", "はい", "いいえ"),
    ),
    Tongue(
        name="Chinese", heard_hello=("你好", "您好", "早上好", "晚上好", "嗨"), heard_thanks=("谢谢", "謝謝", "多谢"),
        heard_bye=("再见", "再見", "拜拜"), said_hello="你好！你今天怎么样？", said_thanks="不客气！", said_bye="再见！",
        said_offline="我现在离线，只会说几句中文。", words=("你好", "再见", "谢谢", "请", "是", "不"),
    ),
    Tongue(
        name="Korean", heard_hello=("안녕", "안녕하세요"), heard_thanks=("고마워", "감사합니다", "고맙습니다"),
        heard_bye=("잘 가", "안녕히 가세요", "안녕히 계세요"), said_hello="안녕하세요! 잘 지내세요?", said_thanks="천만에요!",
        said_bye="다음에 봐요!", said_offline="지금은 오프라인이라 한국어는 몇 마디만 할 수 있어요.",
        words=("안녕하세요", "안녕히 가세요", "감사합니다", "부탁합니다", "네", "아니요"),
    ),
    Tongue(
        name="Arabic", heard_hello=("مرحبا", "السلام عليكم", "أهلا"), heard_thanks=("شكرا", "شكراً"), heard_bye=("مع السلامة", "وداعا"),
        said_hello="مرحبا! كيف حالك؟", said_thanks="عفوا!", said_bye="مع السلامة!",
        said_offline="أنا غير متصل الآن ولا أعرف إلا بضع جمل بالعربية.",
        words=("مرحبا", "مع السلامة", "شكرا", "من فضلك", "نعم", "لا"),
    ),
    Tongue(
        name="Hindi", heard_hello=("नमस्ते", "नमस्कार", "namaste"), heard_thanks=("धन्यवाद", "शुक्रिया"), heard_bye=("अलविदा", "फिर मिलेंगे"),
        said_hello="नमस्ते! आप कैसे हैं?", said_thanks="कोई बात नहीं!", said_bye="फिर मिलेंगे!",
        said_offline="मैं अभी ऑफ़लाइन हूँ और हिन्दी के कुछ ही वाक्य जानता हूँ।",
        words=("नमस्ते", "अलविदा", "धन्यवाद", "कृपया", "हाँ", "नहीं"),
    ),
)  # fmt: skip

_BY_NAME = {tongue.name.lower(): tongue for tongue in TONGUES}
_SCRIPTS = {
    "CYRILLIC": "russian", "HIRAGANA": "japanese", "KATAKANA": "japanese", "HANGUL": "korean", "ARABIC": "arabic",
    "DEVANAGARI": "hindi", "CJK": "chinese",
}  # fmt: skip
_ENGLISH = _set(
    "the a an and is are am i you he she we they it not with of to on for that this what how my your me in do does was were "
    "have has can but also so at be about like just know would will please tell"
)
_HEARD = {
    heard: (tongue, kind)
    for tongue in TONGUES
    for kind, all_heard in (("hello", tongue.heard_hello), ("thanks", tongue.heard_thanks), ("bye", tongue.heard_bye))
    for heard in all_heard
}
_PHRASES = {
    "hello": 0, "hi": 0, "goodbye": 1, "bye": 1, "good bye": 1, "thank you": 2, "thanks": 2, "please": 3, "yes": 4, "no": 5,
}  # fmt: skip
_SAY = re.compile(
    r"\b(?:say|translate|word for|is) [\"'“‘]?(hello|hi|good ?bye|bye|thank you|thanks|please|yes|no)[\"'”’]? (?:in|into|to) ([a-z]{3,12})\b"
)


def tongue_of(words: tuple[str, ...]) -> tuple[Tongue, str] | None:
    """The language of a message and `hello`, `thanks`, `bye` or `other`; None for English, or when unsure.

    words: of the message, lower case.
    """
    line = " ".join(words[:12])
    for count in (3, 2, 1):
        found = _HEARD.get(" ".join(words[:count]))
        if found is not None and (len(words) <= count + 2 or words[0] not in _ENGLISH):
            return found
    scripts: dict[str, int] = {}
    for letter in line[:60]:
        if letter > "\u036f" and letter.isalpha():
            script = _SCRIPTS.get(unicodedata.name(letter, "?").partition(" ")[0])
            if script:
                scripts[script] = scripts.get(script, 0) + 1
    if scripts:
        # Japanese mixes kana into Han characters; any kana decides.
        best = "japanese" if "japanese" in scripts else max(scripts, key=lambda name: scripts[name])
        if sum(scripts.values()) * 2 > len(line.replace(" ", "")[:60]):
            return _BY_NAME[best], "other"
    if len(words) < 3:
        return None
    some = words[:60]
    english = sum(word in _ENGLISH for word in some)
    hits, tongue = max(
        ((sum(word in t.common for word in some), t) for t in TONGUES if t.common), key=lambda pair: pair[0]
    )
    if hits >= 2 and hits > english and hits * 4 >= len(some):
        return tongue, "other"
    return None


def phrase_in(text: str) -> str | None:
    """`how do you say thank you in French` answered; None when `text` (lower case) does not ask that."""
    found = _SAY.search(text)
    if found is None:
        return None
    tongue = _BY_NAME.get(found[2])
    if tongue is None:
        known = ", ".join(t.name for t in TONGUES[:-1]) + f" and {TONGUES[-1].name}"
        return f"I do not have {found[2].title()} with me offline; a few words of {known} I do."
    index = _PHRASES[found[1]]
    return f"In {tongue.name}, “{found[1]}” is “{tongue.words[index]}”."
