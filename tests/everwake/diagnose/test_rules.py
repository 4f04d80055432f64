"""Every rule against its own examples and counter-examples, and all of them against cases of our own making."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from everwake.diagnose import _registry, diagnose
from everwake.diagnose._signatures import SIGNATURES
from everwake.diagnose.causes import CAUSES, HEALTHY, UNKNOWN, state_of
from everwake.diagnose.documents import facts_of
from everwake.diagnose.facts import Facts
from everwake.diagnose.look import Look
from everwake.diagnose.rule import REMEDIES, Rule
from everwake.model import State, VariableProblem
from tests.everwake.diagnose.variants import CASES

RULES = _registry.rules()
PLACES = {"http", "platform", "log", "variables", "context"}


def first(document: Mapping[str, Any]) -> str:
    found = diagnose(facts_of(document)).causes
    return found[0].cause if found else HEALTHY


def numbered(which: str) -> list[Any]:
    return [
        pytest.param(name, example, id=f"{name}-{n}")
        for name, rule in RULES.items()
        for n, example in enumerate(getattr(rule, which))
    ]


@pytest.mark.parametrize(("name", "example"), numbered("examples"))
def test_an_example_is_diagnosed_as_its_rule_says(name: str, example: Mapping[str, Any]) -> None:
    assert first(example) == name


@pytest.mark.parametrize(("name", "example"), numbered("counter_examples"))
def test_a_counter_example_is_not(name: str, example: Mapping[str, Any]) -> None:
    assert first(example) != name


@pytest.mark.parametrize(
    ("want", "document"), [pytest.param(*case, id=f"{n}-{case[0][:30]}") for n, case in enumerate(CASES)]
)
def test_a_case_of_our_own_is_diagnosed(want: str, document: Mapping[str, Any]) -> None:
    assert first(document) in want.split("|")


def test_every_cause_has_a_rule_and_every_rule_a_cause() -> None:
    assert set(RULES) == set(CAUSES)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_says_what_it_needs_what_it_beats_and_shows_both_sides(rule: Rule) -> None:
    assert rule.needs
    assert rule.needs <= PLACES
    assert rule.beats <= set(CAUSES) - {rule.cause}
    assert rule.examples
    assert rule.counter_examples


def test_no_rule_breaks_on_any_example_of_another_and_each_finding_is_whole() -> None:
    """The engine lets no rule cost the diagnosis, so a broken one would go unseen."""
    documents = [one for rule in RULES.values() for one in (*rule.examples, *rule.counter_examples)] + [
        case for _, case in CASES
    ]
    for document in documents:
        facts = facts_of(document)
        for rule in RULES.values():
            rule.ruled_out(facts)
            found = rule.explain(facts) if rule.needs & facts.places else None
            if found is not None:
                assert 0 < found.sure <= 1
                assert found.next or rule.cause == HEALTHY
                assert found.remedy is None or found.remedy in REMEDIES, rule.cause
                assert all(len(one.quote) <= 300 for one in found.because)


def test_every_cause_that_an_edge_points_to_is_drawn_by_its_rule() -> None:
    """A signature for a cause whose rule never asks the edge would say nothing."""
    for signature in SIGNATURES:
        for cause, sure in signature.points:
            assert cause in RULES
            assert 0 < sure < 1
            assert "by_edge" in RULES[cause].explain.__code__.co_names, cause


@pytest.mark.parametrize(("want", "document"), CASES[::7])
def test_causes_are_ranked_and_the_first_has_evidence_and_a_next_step(want: str, document: Mapping[str, Any]) -> None:
    found = diagnose(facts_of(document))
    sures = [one.sure for one in found.causes if one.cause != UNKNOWN]
    assert sures == sorted(sures, reverse=True)
    assert all(one.evidence for one in found.causes if one.cause != UNKNOWN)
    assert all(one.next for one in found.causes)
    assert {one.cause for one in found.ruled_out}.isdisjoint({one.cause for one in found.causes})


def test_states_follow_from_causes() -> None:
    assert state_of("asleep") is State.ASLEEP
    assert state_of("benign_shutdown") is State.UP
    assert state_of("a cause of somebody else's") is State.DOWN
    assert not CAUSES["deploy_superseded"].is_fault


def backend(body: str, **more: Any) -> Facts:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    look = Look(
        url="https://b.example/health", status=200, body=body, headers={"content-type": "application/json"}, at=at
    )
    return Facts(looks=(look,), has_variables=True, **more)


WRONG = VariableProblem(
    key="CHATBOT_URL", problem="wrong_sibling_host", value="https://c.example", is_error=True, fix="c"
)


def test_a_wrong_sibling_in_a_service_that_answers_is_acted_on_only_when_somebody_has_missed_it() -> None:
    quiet = diagnose(backend('{"status":"healthy","chatbot":{"state":"awake","detail":null}}', problems=(WRONG,)))
    assert (quiet.causes[0].cause, quiet.causes[0].sure) == ("wrong_service_url", 0.5)
    missed = '{"status":"healthy","chatbot":{"state":"waking","detail":"no_such_host"}}'
    told = diagnose(backend(missed, problems=(WRONG,)))
    assert (told.causes[0].cause, told.causes[0].remedy) == ("wrong_service_url", "point-to-sibling")
    assert told.causes[0].sure > 0.9


def test_a_key_that_is_refused_to_a_chat_is_named_although_the_health_path_answers() -> None:
    good = backend('{"status":"healthy"}').looks[0]
    refused = replace(good, status=502, body='{"code":"provider_rejected_key"}', check="chat:0", source="chat:0")
    found = diagnose(Facts(looks=(good, refused))).causes[0]
    assert (found.cause, found.remedy) == ("dependency_external", "ask-person")
    assert "Put a key that the provider accepts" in found.next
