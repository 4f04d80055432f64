"""What examples say is told from what a provider hands out."""
# ruff: noqa: E501 - a table

import hashlib
import secrets
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatify.placeholders import is_placeholder

PLACEHOLDERS = [
    "", " ", '""', "your_openai_api_key_here", "your-openai-api-key", "YOUR_API_KEY", "your key", "<your-api-key>", "<key>", "sk-...",
    "sk-…", "sk-your-key-here", "sk-xxxxxxxxxxxxxxxxxxxxxxxx", "sk-proj-xxxx", "sk-proj-...", "sk-", "sk-proj-", "xxx", "XXXX-XXXX",
    "changeme", "change-me", "CHANGE_ME", "replace_me", "replace-with-your-key", "insert-key-here", "todo", "TODO", "tbd", "none",
    "None", "null", "undefined", "n/a", "dummy", "fake-key", "test", "example", "placeholder", "secret", "${OPENAI_API_KEY}",
    "$OPENAI_API_KEY", "{{ openai_api_key }}", "{OPENAI_API_KEY}", "%OPENAI_API_KEY%", "[your key]", "(your key)", "********", "••••••",
    "0000", "1234", "sk-1234567890", "abc", "...", "-", "my-api-key", "enter your api key", "sk-test-key", "sk-00000000000000",
    "put_your_key_here", "paste your openai key here", "openai_api_key", "'your_openai_api_key_here'", "key", "your_api_key_goes_here",
]  # fmt: skip


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_what_examples_say_is_a_placeholder(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["EMPTY", "none", "not-needed", "dummy", "sk-no-key-required", "test"])
def test_an_own_server_may_be_given_a_word_for_no_key(value: str) -> None:
    assert is_placeholder(value)
    assert not is_placeholder(value, own_server=True)


@pytest.mark.parametrize("value", ["", "your_openai_api_key_here", "sk-...", "changeme", "<key>"])
def test_even_for_an_own_server_what_examples_say_is_none(value: str) -> None:
    assert is_placeholder(value, own_server=True)


@pytest.mark.parametrize(
    "value",
    [
        "ollama", "lm-studio", "hunter2", "gsk_9aZ3kQ7", "sk-ant-api03-Zq81", "sk-or-v1-0b5c7d", "c4f9a1d2e8b7",
        "sk-proj-your8Kq2Zx91", "sk-live-4f9Qz81LmRt7Yw2Vb6Nx3Kc5",
    ],
)  # fmt: skip
def test_a_real_looking_key_is_none(value: str) -> None:
    assert not is_placeholder(value)


@given(st.sampled_from(["sk-", "sk-proj-", "sk-svcacct-", ""]), st.integers(0, 10**9), st.booleans())
def test_no_key_made_by_a_machine_is_taken_for_a_placeholder(prefix: str, seed: int, url_safe: bool) -> None:
    letters = string.ascii_letters + string.digits + ("-_" if url_safe else "")
    made = "".join(letters[byte % len(letters)] for byte in hashlib.sha512(str(seed).encode()).digest()[:48])
    assert not is_placeholder(prefix + made)
    assert not is_placeholder(f"  {prefix}{made}\n")


def test_fresh_tokens_of_many_lengths_are_real() -> None:
    assert not any(is_placeholder(secrets.token_urlsafe(size)) for size in range(16, 90) for _ in range(20))


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(value: str) -> None:
    assert is_placeholder(value) in {True, False}


def test_a_huge_value_costs_nothing() -> None:
    began = time.perf_counter()
    assert not is_placeholder("<" * 5_000_000)
    assert not is_placeholder("x-" * 2_500_000)
    assert time.perf_counter() - began < 1.0
