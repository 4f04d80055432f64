"""A progress bar for every criterion on a terminal, elsewhere a line for each verdict. On stderr."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from everwake.cli._answer import note, plain
from everwake.cli._terminal import has_colour

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from everwake.app.verifying import News

__all__ = ["Bars"]

# With more services there is one bar for each of them, for the criteria's would not fit the screen.
DETAILED_MOST = 3
SAID_FROM = 130  # columns
_MARKS = {True: "[green]✓[/green]", False: "[red]✕[/red]", None: "[yellow]…[/yellow]"}


class Bars:
    """Use it with `with`, and hand it what is told."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._services: dict[str, None] = {}
        self._known: dict[tuple[str, str], bool | None] = {}

    def __enter__(self) -> Self:
        if has_colour(sys.stderr):
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            console = Console(stderr=True)
            # On a narrow terminal the bars are worth more than what is said beside them, which comes in full at the end.
            said = [TextColumn("[dim]{task.fields[said]}[/dim]")] if console.width >= SAID_FROM else []
            self._bars = Progress(
                TextColumn("{task.fields[mark]}"), TextColumn("{task.description}"), BarColumn(bar_width=20),
                TextColumn("{task.percentage:>3.0f} %"), *said, TimeElapsedColumn(), console=console, transient=True,
            )  # fmt: skip
            self._bars.start()
        else:
            note("looking at the seven criteria")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def told(self, news: "News") -> None:
        """How far a service has come."""
        self._services[news.service] = None
        if self._bars is None:
            self._note(news)
        else:
            self._draw(news, self._bars)

    def _note(self, news: "News") -> None:
        for criterion in news.criteria:
            key = news.service, criterion.name
            if criterion.met is not None and self._known.get(key) is not criterion.met:
                mark = "met" if criterion.met else "NOT met"
                note(f"{news.service}: {news.titles[criterion.name]}: {mark}, {plain(criterion.said)}")
                self._known[key] = criterion.met

    def _draw(self, news: "News", bars: "Progress") -> None:
        from rich.markup import escape

        is_detailed = len(self._services) <= DETAILED_MOST
        for criterion in news.criteria:
            share = news.progress[criterion.name]
            self._bar(bars, (news.service, criterion.name), visible=is_detailed,
                      description=escape(f"{news.service}: {news.titles[criterion.name]}"), completed=share,
                      mark=_MARKS[criterion.met], said=escape(plain(criterion.said)[:60]))  # fmt: skip
        met = sum(criterion.met is True for criterion in news.criteria)
        is_bad = any(criterion.met is False for criterion in news.criteria)
        self._bar(bars, (news.service, ""), visible=not is_detailed, description=escape(news.service),
                  completed=met / max(1, len(news.criteria)), mark=_MARKS[False if is_bad else None],
                  said=f"{met} of {len(news.criteria)}, {news.left_s:.0f} s left")  # fmt: skip

    def _bar(self, bars: "Progress", key: tuple[str, str], **shown: object) -> None:
        if key not in self._tasks:
            self._tasks[key] = bars.add_task("", total=1.0, mark="", said="")
        bars.update(self._tasks[key], **shown)  # type: ignore[arg-type]
