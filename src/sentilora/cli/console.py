"""What a command says, and where: results on standard output, all else on standard error.

So a command's output can be piped while its progress and log still reach the user. Whatever is
printed here, no control character of a user's text reaches the terminal. rich is imported inside
the functions, for `sentilora --help` draws nothing.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from sentilora.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID
    from rich.segment import Segment
    from rich.text import Text

USER_ERROR = 2  # the exit code for what the user can put right
LINE_EVERY = 30.0  # seconds between progress lines where there is no terminal


@cache
def out() -> Console:
    """The console for results: standard output."""
    return _console()


@cache
def err() -> Console:
    """The console for progress, log and errors: standard error."""
    return _console(stderr=True)


def _console(stderr: bool = False) -> Console:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    class Harmless(Console):
        """Writes out control characters in whatever is printed; rich's own go as they are."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable(text), style)

    return Harmless(stderr=stderr)


def shown(text: str, style: str = "") -> Text:
    """A user's text as it is, without markup, and with control characters written out.

    A console would write them out by itself, but only when the text's place is measured already.
    """
    from rich.text import Text

    return Text(printable(text), style)


def echo_json(value: Any, indent: int | None = None) -> None:
    """Prints a result as JSON on standard output.

    JSON escapes ESC by itself, but not the control characters beyond ASCII.
    """
    import json

    import typer

    text = json.dumps(value, indent=indent, ensure_ascii=False)
    typer.echo(printable(text))


def say(message: str, *, style: str | None = None) -> None:
    """Prints a line of log, above a running progress bar if there is one.

    No markup, for a message holds users' texts. It is wrapped on a terminal alone, between words
    alone: it also holds paths to be copied.
    """
    message = printable(message)
    if _on_terminal():
        message = "\n".join(_wrapped(line, err().width) for line in message.split("\n"))
    err().print(message, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _wrapped(line: str, width: int) -> str:
    # rich breaks long words, too, or else leaves the whole line as it is
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


def fail(error: BaseException) -> NoReturn:
    """Prints the user's error, without a traceback, and ends the process with code 2."""
    say(f"Error: {error}", style="bold red")
    raise SystemExit(USER_ERROR)


class Progress:
    """Progress of one job with its rate and ETA, on standard error, as a context manager.

    On a terminal a bar; elsewhere (a log file, a pipe) a plain line every 30 seconds and one at the
    end, however the job ends.

    Parameters
    ----------
    description, unit
        What is done and in which unit, as in `Progress("training", unit="steps")`.
    total
        The number of units, or None where it isn't known.
    done
        Units done before this process, by a run that is resumed; they don't count for the rate.
    terminal_only
        Say nothing where there is no terminal, and leave nothing on it at the end.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self,
        description: str,
        *,
        unit: str,
        total: int | None = None,
        done: int = 0,
        terminal_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.description = description
        self.unit = unit
        self.total = total
        self.done = done
        self.extra = ""
        self._terminal_only = terminal_only
        self._clock = clock
        self._first = done
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._started = self._last_line = self._clock()
        if _on_terminal():
            self._bar = _bar(transient=self._terminal_only)
            self._task = self._bar.add_task(
                self.description, total=self.total, completed=self.done, extra=""
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif not self._terminal_only:
            say(self.line())

    def advance(self, units: int = 1) -> None:
        """Counts units as done."""
        self.done += units
        self._show()

    def note(self, extra: str) -> None:
        """Sets the free text at the end, such as the current validation result.

        A terminal of 80 columns has room for some 25 characters of it.
        """
        self.extra = extra
        self._show()

    def line(self) -> str:
        """The state as one plain line."""
        elapsed = self._clock() - self._started
        rate = (self.done - self._first) / elapsed if elapsed > 0 else 0.0
        parts = [f"{_count(self.done, self.total)} {self.unit}"]
        if self.total:
            parts[0] += f" ({self.done / self.total:.0%})"
        if rate:
            parts.append(f"{_rate(rate)} {self.unit}/s")
        parts.append(f"elapsed {_duration(elapsed)}")
        if self.total is not None and rate and self.done < self.total:
            parts.append(f"ETA {_duration((self.total - self.done) / rate)}")
        if self.extra:
            parts.append(self.extra)
        return f"{self.description}: {', '.join(parts)}"

    def _show(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done, extra=self.extra)
        elif not self._terminal_only and self._clock() - self._last_line >= LINE_EVERY:
            self._last_line = self._clock()
            say(self.line())


def _on_terminal() -> bool:
    # Not rich's `is_terminal` alone: FORCE_COLOR makes that true for a CI log as well.
    return err().file.isatty() and not err().is_dumb_terminal


def _bar(transient: bool) -> RichProgress:
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class StateColumn(ProgressColumn):
        """All the figures in one column: in 80 columns, that leaves some 25 for the extra text."""

        def render(self, task: Task) -> Text:
            parts = [_count(int(task.completed), None if task.total is None else int(task.total))]
            if task.speed:
                parts.append(f"{_rate(task.speed)}/s")
            parts.append(_duration(task.elapsed or 0))
            if task.time_remaining:
                parts.append(f"ETA {_duration(task.time_remaining)}")
            return Text("  ".join(parts), no_wrap=True)

    class ExtraColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.fields["extra"], overflow="ellipsis", no_wrap=True)

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        # What may not wrap is not squeezed either: where it gets narrow, the extra text gives way.
        BarColumn(bar_width=10, table_column=Column(no_wrap=True)),
        StateColumn(table_column=Column(no_wrap=True)),
        ExtraColumn(),
        console=err(),
        # Standard output is for results; rich would move them to this console's standard error.
        redirect_stdout=False,
        transient=transient,
        refresh_per_second=4,  # redrawing costs time that the job needs
    )


def _count(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,}/{total:,}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
