"""How a notable line is told: literal words that all must stand in it. No regular expression is run over a log for this."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from everwake.diagnose.log.signs import SignKind

__all__ = ["Pattern", "Table", "says"]

GRAM = 4
# Most lines of a log are of a few shapes that differ in their digits; shapes that say nothing are remembered, so many at most.
SHAPES_MOST = 4_096
SHAPE_CHARS = 300
_NO_DIGITS = dict.fromkeys(map(ord, "0123456789"))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of sign and its words, lower case: of each group one alternative must stand in the line, and none of `without`."""

    kind: SignKind
    groups: tuple[tuple[str, ...], ...]
    without: tuple[str, ...] = ()

    def fits(self, low: str) -> bool:
        """Whether a lower-case line says this."""
        return all(_any_of(group, low) for group in self.groups) and not _any_of(self.without, low)


def _any_of(words: tuple[str, ...], low: str) -> bool:
    for word in words:  # noqa: SIM110 - any() with a generator takes twice as long, and this runs for every notable line
        if word in low:
            return True
    return False


def says(kind: SignKind, *groups: str, without: str = "") -> Pattern:
    """A pattern from words: alternatives are parted by `|`, as in `says(REDIS, "refused|timed out", "redis|:6379")`."""
    return Pattern(
        kind, tuple(tuple(group.split("|")) for group in groups), tuple(without.split("|")) if without else ()
    )


class Table:
    """Patterns in the order of preference: of one line the first that fits counts.

    Each alternative of a pattern's first group is found by four letters of it, those that the fewest others hold; so what a
    line costs hardly depends on how many patterns there are.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        words = {word for pattern in patterns for word in pattern.groups[0]}
        if short := [word for word in words if len(word) < GRAM]:
            raise ValueError(f"too short to be looked for: {short}")
        held = Counter(gram for word in words for gram in _grams(word))
        by_gram: dict[str, dict[tuple[int, str], Pattern]] = {}
        for rank, pattern in enumerate(self.patterns):
            for word in pattern.groups[0]:
                rarest = min(_grams(word), key=lambda gram: (_has_digit(gram), held[gram], gram))
                by_gram.setdefault(rarest, {})[rank, word] = pattern
        self._by_gram = {
            gram: tuple(
                (rank, word, pattern) for (rank, word), pattern in sorted(found.items(), key=lambda one: one[0])
            )
            for gram, found in by_gram.items()
        }
        self._keys = frozenset(self._by_gram)
        self._lettered = frozenset(gram for gram in self._by_gram if not _has_digit(gram))
        self._numbered = tuple(self._keys - self._lettered)
        self._bare = {
            gram: tuple({word.translate(_NO_DIGITS) for _, word, _ in self._by_gram[gram]}) for gram in self._lettered
        }
        self._clean: set[str] = set()

    def kind_of(self, low: str, *, but: SignKind | None = None) -> SignKind | None:
        """What a lower-case line says, or None. but: a kind that is passed over."""
        shape = low.translate(_NO_DIGITS) if len(low) <= SHAPE_CHARS else ""
        if shape in self._clean:
            # Letters that stand together in the line do so in its shape, so only pieces with digits are left to look for.
            if not _any_of(self._numbered, low):
                return None
        elif shape and not self._may_say(shape):
            if len(self._clean) >= SHAPES_MOST:
                self._clean.clear()
            self._clean.add(shape)
        best, found = len(self.patterns), None
        for gram in self._keys.intersection([low[n : n + GRAM] for n in range(len(low) - GRAM + 1)]):
            for rank, word, pattern in self._by_gram[gram]:
                if rank >= best:
                    break
                if word in low and pattern.kind is not but and pattern.fits(low):
                    best, found = rank, pattern.kind
                    break
        return found

    def _may_say(self, shape: str) -> bool:
        """Whether any line of this shape can hold one of the words that are found by letters."""
        grams = self._lettered.intersection([shape[n : n + GRAM] for n in range(len(shape) - GRAM + 1)])
        return any(_any_of(self._bare[gram], shape) for gram in grams)

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self.patterns)


def _has_digit(gram: str) -> bool:
    return any(letter.isdigit() for letter in gram)


def _grams(word: str) -> set[str]:
    return {word[n : n + GRAM] for n in range(len(word) - GRAM + 1)}
