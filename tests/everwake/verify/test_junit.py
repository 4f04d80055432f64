"""JUnit XML that a CI can read, whatever strangers wrote into it."""

from datetime import UTC, datetime
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from everwake.model import Criterion
from everwake.verify.junit import Suite, junit

AT = datetime(2026, 1, 1, tzinfo=UTC)


def suite(*criteria: Criterion, service: str = "a", lacking: dict[str, str] | None = None) -> Suite:
    return Suite(
        service=service, at=AT, took_s=1.5, criteria=criteria, titles={"log": "no shutdown"}, lacking=lacking or {}
    )


def test_met_not_met_not_shown_and_lacking_are_four_different_things() -> None:
    root = ElementTree.fromstring(
        junit([
            suite(
                Criterion(name="health", met=True, said="17 looks"), Criterion(name="log", met=False, said="at 11:30"),
                Criterion(name="keeper", met=None, said="not shown"), lacking={"messages": "it has no chat"},
            )
        ]).encode()
    )  # fmt: skip
    assert root.attrib == {"name": "everwake verify", "tests": "4", "failures": "1", "errors": "1"}
    (found,) = root
    assert (found.get("skipped"), found.get("time"), found.get("timestamp")) == ("1", "1.500", "2026-01-01T00:00:00")
    assert [child.tag for case in found for child in case] == ["system-out", "failure", "error", "skipped"]
    assert [case.get("name") for case in found] == ["health", "no shutdown", "keeper", "messages"]


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([True, False, None]))
def test_any_text_is_well_formed(service: str, said: str, met: bool | None) -> None:
    root = ElementTree.fromstring(junit([suite(Criterion(name="log", met=met, said=said), service=service)]).encode())
    assert len(root[0]) == 1
