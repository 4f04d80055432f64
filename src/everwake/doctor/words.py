"""How far two words are apart, and what examples say where a value should stand. Pure."""

import re

__all__ = ["distance", "is_default_secret", "is_placeholder", "nearest"]


def distance(a: str, b: str, most: int = 3) -> int:
    """Slips between two words: a letter more, less, another, or two changed places (optimal string alignment).

    most: beyond it the answer is only "more"; words whose lengths differ by more are not compared.
    """
    if abs(len(a) - len(b)) > most or max(len(a), len(b)) > 120:
        return most + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]


def nearest(word: str, known: "tuple[str, ...] | frozenset[str]", most: int = 2) -> str | None:
    """The one of `known` that is at most so many slips away; the first of the nearest."""
    ranked = sorted((distance(word, each, most), each) for each in known)
    return ranked[0][1] if ranked and ranked[0][0] <= most else None


# What stands in templates where a value belongs. A value made by a machine has at least one part that is none of these.
_TEMPLATE = frozenset(
    re.findall(
        r"\S+",
        """
gmail outlook yahoo org net io cloud connection cluster bucket region webhook company website site workspace mailbox sender phone
your my the a an our here insert enter put add paste replace replaceme change changeme changethis me this with to todo
fixme tbd fill in placeholder example sample dummy real actual key keys api apikey token tokens secret secrets
password pass passwd value id code url uri string text name user username account project app application service
client db database host hostname org access openai anthropic claude gpt gemini google firebase stripe supabase twilio
sendgrid slack github discord telegram bot aws azure redis postgres mongo mongodb mysql jwt auth oauth session cookie
public private live test prod production dev from dashboard get goes xxx yyy zzz and or of for is it not set unset
missing needed required must be some something any sk pk rk proj hf ghp gho re whsec groq mistral cohere huggingface
openrouter deepseek replicate elevenlabs cloudinary sentry mapbox maps smtp email mail domain com random long strong
secure generated min least chars characters bit hex base64 super
""",
    )
)  # fmt: skip
_INSTRUCTING = frozenset(
    re.findall(
        r"\S+",
        """
your insert enter put paste replace replaceme changeme changethis change here placeholder todo fixme tbd example
sample dummy fill xxx yyy zzz
""",
    )
)
_RUNS = ("1234567890" * 4, "0123456789" * 4, "abcdefghijklmnopqrstuvwxyz")
# Passwords that an image, a tutorial or a framework starts with: they work, for everybody.
_DEFAULTS = frozenset(
    re.findall(
        r"\S+",
        """
secret password passwd passw0rd changeme changethis change-me change_me changeit letmein admin administrator root toor
postgres mysql mongo redis guest test testing user default minioadmin rabbitmq 123456 12345678 1234 12345 123456789
qwerty secretkey secret-key secret_key mysecret mysecretkey my-secret-key my_secret_key supersecret super-secret
super_secret supersecretkey super-secret-key super_secret_key jwtsecret jwt-secret jwt_secret dev-secret devsecret
dev_secret s3cr3t s3cret keyboard-cat keyboardcat example insecure notsecure topsecret top-secret pass dev development
""",
    )
)  # fmt: skip


def is_placeholder(value: str) -> bool:
    """Whether it is what a template says: `your_openai_api_key_here`, `sk-...`, `<key>`, `xxxx`, `TODO`."""
    text = value.strip().strip("\"'`").strip().lower()
    if not text or len(text) > 200:
        return False
    if re.search(r"\.\.\.|…|\*{3}|•{3}|x{5}|_here$|-here$", text):
        return True
    if re.fullmatch(r"[<\[{(]\s*[^<>\[\]{}()]{1,80}\s*[>\]})]", text) and not text.startswith(("[", "{")):
        return all(_says_nothing(part) for part in re.findall(r"[^\W_]+", text))
    if re.fullmatch(r"\[[a-z][a-z _-]{2,60}\]", text):
        return True
    parts = re.findall(r"[^\W_]+", text)
    if not parts or not all(_says_nothing(part) for part in parts):
        return False
    return (
        bool(_INSTRUCTING & set(parts))
        or (all(_is_filler(part) for part in parts) and len(text) >= 6)
        or ("my" in parts[:1] and len(parts) > 1)
    )


def _says_nothing(part: str) -> bool:
    return part in _TEMPLATE or _is_filler(part)


def _is_filler(part: str) -> bool:
    """`xxxx`, `0000`, `123456`, `abcdef`: one character over and over, or a run from the keyboard."""
    return (len(set(part)) == 1 and len(part) > 1) or (len(part) > 2 and any(run.startswith(part) for run in _RUNS))


def is_default_secret(value: str, names: "tuple[str, ...]" = ()) -> bool:
    """Whether everybody knows this password. names: words that stand beside it, as a user's, a product's or a database's name."""
    plain = value.strip().lower()
    if (
        plain in _DEFAULTS
        or re.sub(r"[\W_\d]{1,6}$", "", plain) in _DEFAULTS
        or re.sub(r"[\s_-]+", "", plain) in _DEFAULTS
        or plain.startswith("django-insecure-")
    ):
        return bool(plain)
    if re.fullmatch(
        r"(?:default|demo|example|sample|my|super|your|change|initial|temp)[a-z_-]{0,20}(?:password|passwd|pass|pw|secret|key)\d{0,3}!?",
        plain,
    ):
        return True
    return bool(plain) and plain in {name.lower() for name in names if name}
