"""What opens an incident, what folds, what flaps, what is told."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from everwake.model import Incident, State, Transition
from everwake.watch.incidents import Book, Told, follow, pass_time

START = datetime(2026, 1, 1, tzinfo=UTC)
FAMILY = {"chatbot": ("redis",), "backend": ("chatbot",)}


class Story:
    """A book and a clock, so that a test reads as what happened."""

    def __init__(self) -> None:
        self.book, self.now, self.s = Book(), START, 0.0
        self.told: list[tuple[str, bool]] = []
        self.closed: list[Incident] = []
        self.states: dict[str, State] = {}
        self.unsure: set[str] = set()

    def moves(self, name: str, new: State, after_s: float = 0.0) -> None:
        self.passes(after_s)
        old = self.states.get(name, State.UP)
        self.states[name] = new
        self.book, _ = follow(
            self.book, Transition(service=name, old=old, new=new, at=self.now), None, FAMILY, self.s, 40.0
        )
        self.passes(0)

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.s += seconds
        self.book, told = pass_time(self.book, self.s, self.unsure.__contains__)
        self._note(told)

    def _note(self, told: tuple[Told, ...]) -> None:
        self.told += [(t.incident.service, t.opened) for t in told if t.is_news]
        self.closed += [t.incident for t in told if not t.opened]


def test_down_is_told_at_once_and_its_end_after_it_has_settled() -> None:
    story = Story()
    story.moves("redis", State.DOWN)
    story.moves("redis", State.UP, after_s=100)
    assert story.told == [("redis", True)]
    story.passes(60)
    assert story.told == [("redis", True), ("redis", False)]
    assert story.closed[0].closed_at == START + timedelta(seconds=100)


def test_an_incident_begins_when_the_service_left_up_not_when_it_was_confirmed() -> None:
    story = Story()
    story.moves("redis", State.WAKING)
    story.moves("redis", State.DOWN, after_s=90)
    assert story.book.open["redis"].incident.opened_at == START


def test_flapping_is_one_incident_and_two_messages() -> None:
    story = Story()
    for _ in range(5):
        story.moves("redis", State.DOWN, after_s=30)
        story.moves("redis", State.UP, after_s=30)
    story.passes(3600)
    assert story.told == [("redis", True), ("redis", False)]
    assert story.closed[0].flaps == 4


def test_who_falls_again_or_further_fell_then_and_not_when_the_incident_opened() -> None:
    story = Story()
    story.moves("redis", State.DEGRADED)
    opened = story.book.open["redis"].incident
    assert opened.fell_at is None
    story.moves("redis", State.DOWN, after_s=600)
    fell_at = story.book.open["redis"].incident.fell_at
    assert fell_at == opened.opened_at + timedelta(seconds=600)
    story.moves("redis", State.DEGRADED, after_s=10)
    story.moves("redis", State.UP, after_s=10)
    assert story.book.open["redis"].incident.fell_at == fell_at
    story.moves("redis", State.DOWN, after_s=30)
    assert story.book.open["redis"].incident.fell_at == fell_at + timedelta(seconds=50)


def test_who_was_back_and_wakes_or_is_not_known_is_waited_for_from_then_on() -> None:
    story = Story()
    story.moves("redis", State.DOWN)
    story.moves("redis", State.UP, after_s=80)
    story.moves("redis", State.WAKING, after_s=36)
    asleep_at = story.now
    assert story.book.open["redis"].incident.fell_at == asleep_at
    story.moves("redis", State.DOWN, after_s=100)
    assert story.book.open["redis"].incident.fell_at == asleep_at, "it did not come up in between"
    story.moves("redis", State.PAUSED, after_s=10)
    story.moves("redis", State.DOWN, after_s=7_200)
    assert story.book.open["redis"].incident.fell_at == story.now


def test_a_child_is_silent_when_its_parent_is_down_before_it() -> None:
    story = Story()
    story.moves("redis", State.DOWN)
    story.moves("chatbot", State.DOWN, after_s=5)
    story.moves("backend", State.DOWN, after_s=5)
    story.passes(60)
    assert story.told == [("redis", True)]
    parent = story.book.open["redis"].incident.id
    assert story.book.open["backend"].incident.parent == parent


def test_a_child_is_silent_when_its_parent_is_found_down_a_moment_after_it() -> None:
    story = Story()
    story.moves("chatbot", State.DOWN)
    story.moves("redis", State.DOWN, after_s=5)
    story.passes(60)
    assert story.told == [("redis", True)]


def test_a_child_that_falls_again_just_before_its_parent_folds_again() -> None:
    story = Story()
    story.moves("redis", State.DOWN)
    story.moves("chatbot", State.DOWN, after_s=1)
    story.moves("redis", State.UP, after_s=18)
    story.moves("chatbot", State.UP)
    story.moves("chatbot", State.DOWN, after_s=15)
    story.moves("redis", State.DOWN, after_s=1)
    story.passes(60)
    assert story.told == [("redis", True)]
    assert story.book.open["chatbot"].incident.parent == story.book.open["redis"].incident.id


def test_a_child_waits_while_it_is_not_known_how_its_parent_stands_but_not_for_ever() -> None:
    story = Story()
    story.unsure = {"chatbot"}
    story.moves("chatbot", State.DOWN)
    story.passes(39)
    assert story.told == []
    story.moves("redis", State.DOWN)
    story.passes(60)
    assert story.told == [("redis", True)]
    story = Story()
    story.unsure = {"chatbot"}
    story.moves("chatbot", State.DOWN)
    story.passes(40)
    assert story.told == [("chatbot", True)]


def test_a_child_that_was_told_before_its_parent_fell_is_known_to_be_part_of_it_and_has_one_end() -> None:
    story = Story()
    story.moves("chatbot", State.DOWN)
    story.passes(16)
    story.moves("redis", State.DOWN, after_s=10)
    assert story.book.open["chatbot"].incident.parent == story.book.open["redis"].incident.id
    story.moves("redis", State.UP, after_s=10)
    story.moves("chatbot", State.UP)
    story.passes(600)
    assert sorted(story.told) == [("chatbot", False), ("chatbot", True), ("redis", False), ("redis", True)]


def test_a_child_that_has_been_down_for_long_is_not_explained_by_what_falls_now() -> None:
    story = Story()
    story.moves("chatbot", State.DOWN)
    story.passes(16)
    story.moves("redis", State.DOWN, after_s=3_600)
    assert story.book.open["chatbot"].incident.parent is None


def test_a_child_that_stays_down_after_its_parent_came_back_is_told() -> None:
    story = Story()
    story.moves("redis", State.DOWN)
    story.moves("chatbot", State.DOWN)
    story.moves("redis", State.UP, after_s=60)
    story.passes(60)
    story.passes(15)
    assert story.told == [("redis", True), ("redis", False), ("chatbot", True)]


def test_a_child_that_falls_again_alone_after_its_parent_came_back_is_told() -> None:
    story = Story()
    story.moves("redis", State.DOWN)
    story.moves("chatbot", State.DOWN, after_s=1)
    story.moves("redis", State.UP, after_s=30)
    story.moves("chatbot", State.UP)
    story.moves("chatbot", State.DOWN, after_s=40)
    story.moves("chatbot", State.UP, after_s=10)
    story.passes(30)  # redis has settled, chatbot has not
    assert story.told == [("redis", True), ("redis", False)]
    story.moves("chatbot", State.DOWN)
    story.passes(16)
    assert story.told == [("redis", True), ("redis", False), ("chatbot", True)]
    assert story.book.open["chatbot"].incident.parent is None


def test_a_parent_that_is_only_slow_is_no_reason_to_be_silent_about_its_child() -> None:
    story = Story()
    story.moves("redis", State.DEGRADED)
    story.moves("chatbot", State.DOWN, after_s=5)
    story.passes(16)
    assert story.told == [("redis", True), ("chatbot", True)]
    story.moves("backend", State.DOWN)
    assert story.book.open["backend"].incident.parent == story.book.open["chatbot"].incident.id


def test_waking_asleep_paused_and_unknown_open_nothing() -> None:
    story = Story()
    for state in (State.WAKING, State.ASLEEP, State.PAUSED, State.UNKNOWN):
        story.moves("redis", state, after_s=10)
    story.passes(600)
    assert (story.told, dict(story.book.open)) == ([], {})


def test_a_child_that_is_back_before_its_grace_is_over_is_not_told_about() -> None:
    story = Story()
    story.moves("chatbot", State.DOWN)
    story.moves("chatbot", State.UP, after_s=5)
    story.passes(600)
    assert (story.told, len(story.closed)) == ([], 1)


def test_services_that_depend_on_each_other_do_not_hang_us() -> None:
    loop = {"a": ("b",), "b": ("a",)}
    book, _ = follow(Book(), Transition(service="a", old=State.UP, new=State.DOWN, at=START), None, loop, 0.0)
    book, _ = follow(book, Transition(service="b", old=State.UP, new=State.DOWN, at=START), None, loop, 0.0)
    assert set(book.open) == {"a", "b"}


@given(
    st.lists(
        st.tuples(st.sampled_from(["redis", "chatbot", "backend"]), st.sampled_from(list(State)), st.floats(0, 200))
    )
)
def test_every_told_opening_has_one_end_and_none_is_told_twice(steps: list[tuple[str, State, float]]) -> None:
    story = Story()
    for name, state, after_s in steps:
        if story.states.get(name, State.UP) is not state:
            story.moves(name, state, after_s)
    for name in ("redis", "chatbot", "backend"):
        if story.states.get(name, State.UP) is not State.UP:
            story.moves(name, State.UP)
    story.passes(2000)
    story.passes(2000)
    assert not story.book.open
    assert len({incident.id for incident in story.closed}) == len(story.closed)
    for name in ("redis", "chatbot", "backend"):
        news = [opened for told, opened in story.told if told == name]
        assert news == [True, False] * (len(news) // 2)
