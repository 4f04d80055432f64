"""Sketches: what they may get wrong is bounded, and merging loses nothing."""

import math

from hypothesis import given
from hypothesis import strategies as st

from everwake.history.rollup import Sketch, bucket_of, middle_of

units = st.integers(0, (1 << 21) - 1)
several = st.lists(units, max_size=200)


@given(units, units)
def test_buckets_rise_with_what_they_hold(one: int, other: int) -> None:
    assert (bucket_of(one) <= bucket_of(other)) or one > other


@given(units)
def test_the_middle_of_a_bucket_is_within_two_percent_of_everything_in_it(value: int) -> None:
    assert abs(middle_of(bucket_of(value)) - value) <= 0.02 * value
    if value < 64:
        assert middle_of(bucket_of(value)) == value


@given(st.lists(units, min_size=1, max_size=300), st.floats(0.0, 1.0))
def test_a_quantile_is_within_two_percent_of_the_true_one(values: list[int], share: float) -> None:
    true = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    told = Sketch.of(values).quantile(share)
    assert told is not None
    assert abs(told - true) <= 0.02 * true


@given(several, several, several)
def test_merging_is_associative_commutative_and_the_same_as_of_everything_at_once(
    a: list[int], b: list[int], c: list[int]
) -> None:
    one, two, three = Sketch.of(a), Sketch.of(b), Sketch.of(c)
    left = Sketch.merged([Sketch.merged([one, two]), three])
    assert left == Sketch.merged([one, Sketch.merged([two, three])])
    assert left == Sketch.merged([three, one, two])
    assert left == Sketch.of(a + b + c)


@given(several)
def test_a_sketch_survives_its_bytes(values: list[int]) -> None:
    sketch = Sketch.of(values)
    assert Sketch.decode(sketch.encode()) == sketch
    assert sketch.total == len(values)


def test_nothing_has_no_quantile() -> None:
    assert Sketch().quantile(0.5) is None
