"""Facts as JSON: strict about types, lenient about what is missing, masked when saved, and the same diagnosis when replayed."""
# ruff: noqa: E501 - lines of logs and answers are as long as they are

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.diagnose import diagnose
from everwake.diagnose.documents import document_of, facts_of, saved
from everwake.errors import Misused
from everwake.model import VariableProblem
from tests.everwake.diagnose.variants import CASES


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "the document is a list, not an object"),
        ({"http": "503"}, "http is text, not an object"),
        ({"http": {"status": "503"}}, "http.status is text, not a number"),
        ({"http": {"status": 5030}}, "http.status is 5030, not a status of HTTP"),
        ({"http": {"status": 503, "headers": ["a"]}}, "http.headers is a list, not an object"),
        ({"http": {"probes": {}}}, "http.probes is an object, not a list"),
        ({"http": {"probes": [{"status": True}]}}, "http.probes[0].status is true or false, not a number"),
        ({"log": 3}, "log is a number, not a list"),
        ({"log": ["a", 3]}, "log[1] is a number, not text"),
        ({"platform_state": {"deploys": {}}}, "platform_state.deploys is an object, not a list"),
        ({"http": {"failure": {"kind": "gone"}}}, "http.failure: 'gone' is not a valid FailureKind"),
    ],
)
def test_a_wrong_type_is_told_with_its_place(document: Any, words: str) -> None:
    with pytest.raises(Misused) as told:
        facts_of(document)
    assert words in told.value.message
    assert told.value.hint


def test_what_is_missing_or_not_known_is_no_mistake() -> None:
    assert facts_of({}).places == frozenset()
    facts = facts_of(
        {
            "id": "x",
            "later": 1,
            "http": {"status": None, "body": None, "headers": {"A": 1, "B": ["c", "d"]}},
            "log": None,
            "platform_state": {"service": {}},
        }
    )
    assert facts.looks[0].headers == {"a": "1", "b": "c, d"}
    assert facts_of({"log": "one\ntwo"}).log is not None


def test_deploys_and_events_may_stand_alone_or_wrapped_as_the_api_has_them() -> None:
    bare = facts_of(
        {
            "platform_state": {
                "deploys": [{"id": "1", "status": "live"}],
                "events": [{"type": "server_failed", "details": {"reason": {"nonZeroExit": 1}}}],
            }
        }
    )
    wrapped = facts_of(
        {
            "platform_state": {
                "deploys": [{"deploy": {"id": "1", "status": "live"}, "cursor": "x"}],
                "events": [{"event": {"type": "server_failed", "details": {"reason": {"nonZeroExit": 1}}}}],
            }
        }
    )
    assert bare.host == wrapped.host


@pytest.mark.parametrize("document", [case for _, case in CASES[::5]])
def test_saved_facts_give_the_same_diagnosis_again(document: dict[str, Any]) -> None:
    facts = facts_of(document)
    replayed = facts_of(json.loads(json.dumps(saved(facts, document.get("log", ())))))
    before, after = diagnose(facts), diagnose(replayed)
    assert [(one.cause, one.sure) for one in before.causes] == [(one.cause, one.sure) for one in after.causes]
    assert before.state is after.state


def test_what_is_saved_holds_no_secret() -> None:
    secret = "rnd_" + "Q7w" * 10
    facts = facts_of({
        "http": {"url": f"https://u:hunter2@a.com/?token={secret}", "request": {"method": "GET", "headers": {"Authorization": f"Bearer {secret}"}}, "status": 500, "headers": {"set-cookie": "sid=hunter2"}, "body": f"key {secret}"},
        "platform_state": {"errorMessage": f"password={secret}"}, "context": {"siblings": [f"https://x:{secret}@b.com"]},
    })  # fmt: skip
    text = json.dumps(
        saved(
            facts,
            [f"Error: bad key {secret}"],
            {"RENDER_API_KEY": secret, "URL": "redis://u:hunter2@h:1", "PORT": "8000"},
        )
    )
    assert secret not in text
    assert "hunter2" not in text
    assert '"PORT": "8000"' in text


def test_a_diagnosis_is_written_in_the_contracts_words() -> None:
    problem = VariableProblem(
        key="PORT", problem="quotes_in_value", is_error=True, fix="remove the quotes", column=1, found="'"
    )
    document = document_of(
        diagnose(
            facts_of(
                {"log": ["ValueError: invalid literal for int() with base 10: \"'8000'\"", "==> Exited with status 1"]},
                [problem],
            )
        ),
        "case-1",
    )
    assert list(document) == ["id", "state", "causes", "ruled_out", "variables"]
    assert document["variables"] == [
        {
            "key": "PORT",
            "problem": "quotes_in_value",
            "level": "error",
            "column": 1,
            "found": "'",
            "fix": "remove the quotes",
        }
    ]
    assert set(document["causes"][0]) == {"cause", "sure", "evidence", "next", "remedy"}
    assert set(document["causes"][0]["evidence"][0]) == {"from", "quote"}
    json.dumps(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["http", "status", "headers", "body", "log", "platform_state", "deploys", "events", "service", "details", "reason", "context", "siblings", "probes", "suspenders", "url", "at", "failure", "kind"]), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["id", "platform", "http", "log", "platform_state", "context"]), JSON, max_size=5)
)
@settings(max_examples=200)
def test_any_document_is_read_or_refused_in_words(document: dict[str, Any]) -> None:
    try:
        facts = facts_of(document)
    except Misused as told:
        assert told.message
        return
    found = diagnose(facts)
    assert not [one for one in found.ruled_out if "its rule broke" in one.why]
    json.dumps(document_of(found))
    saved(facts)
