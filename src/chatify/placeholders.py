"""Is this value a real key, or the text that stood in its place in an example?

Pure and standard library only, so that settings may ask it before anything heavy is imported.
"""

import re

__all__ = ["is_placeholder"]

_MAX_CHARS = 200  # nothing longer is an example's text; it also bounds the work

# What examples, templates and tutorials say. A key made by a machine has at least one part that is none of these.
_SAID = """
a add an and any api apikey auth bar baz bearer bot change changeit changeme chatgpt code copy credential credentials
default demo dev development enter env example fill foo from get goes gpt here hidden in insert is it key keys live me
missing my of open openai or org own password paste personal place placeholder platform please private prod production
proj project put real redacted removed replace replaced replaceme sample sandbox secret secretkey service set sk some
something string svcacct tbd text that the this to todo token unset update use user valid value with xyz you your yours
"""
# What servers without keys are given by custom: vLLM's docs say EMPTY, others `none`, `dummy`, `not-needed`.
_SAID_KEYLESS = "dummy empty fake invalid mock n na needed nil no none not null required test testing undefined"
_WORDS, _KEYLESS = frozenset(_SAID.split()), frozenset(_SAID_KEYLESS.split())
_RUNS = ("1234567890" * 20, "0123456789" * 20, "abcdefghijklmnopqrstuvwxyz")
_WRAPPED = re.compile(r"[<{\[(%$]\s*.*[>}\])%]|\$\w+", re.DOTALL)


def is_placeholder(value: str, *, own_server: bool = False) -> bool:
    """True for an empty value and for what examples say: `your_openai_api_key_here`, `sk-...`, `changeme`, `<key>`, `xxx`.

    own_server: the request goes to a server of the operator's own, where `EMPTY`, `none` or `test` are fit keys.
    """
    text = value.strip().strip("\"'`").strip().lower()
    if not text:
        return True
    if len(text) > _MAX_CHARS:
        return False
    if "..." in text or "…" in text or "***" in text or "•" in text or _WRAPPED.fullmatch(text):
        return True
    parts = re.findall(r"[^\W_]+", text)
    keyless = [part for part in parts if part in _KEYLESS]
    if own_server and keyless:
        return False
    return all(part in _WORDS or part in _KEYLESS or _is_filler(part) for part in parts)


def _is_filler(part: str) -> bool:
    """`xxxx`, `0000`, `123456`, `abc`: one character over and over, or a run from the keyboard."""
    return len(set(part)) == 1 or (len(part) > 1 and any(run.startswith(part) for run in _RUNS))
