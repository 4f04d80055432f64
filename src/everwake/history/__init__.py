"""What the keeper remembers: one SQLite file, written by one thread, read by many. See docs/history.md."""

from everwake.history._file import FromTheFuture
from everwake.history.sqlite import History
from everwake.history.values import DayGrid, Glimpse, Page, Resolution, Rollup, Story, fitting

__all__ = ["DayGrid", "FromTheFuture", "Glimpse", "History", "Page", "Resolution", "Rollup", "Story", "fitting"]
