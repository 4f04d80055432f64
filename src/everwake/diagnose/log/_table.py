"""All words, in the order of preference."""

from everwake.diagnose.log._pattern import Table
from everwake.diagnose.log._words_course import COURSE
from everwake.diagnose.log._words_first import FIRST
from everwake.diagnose.log._words_roots import ROOTS

__all__ = ["TABLE"]

TABLE = Table((*FIRST, *ROOTS, *COURSE))
