"""Ctrl-C: held back where it would leave something half done, and what is raised in the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C.

    A KeyboardInterrupt, so that no `except Exception` on the way (a grid search's) goes on.

    Attributes
    ----------
    step, steps
        The last step completed, and the steps of the whole run.
    checkpoint
        The newest checkpoint, to resume from: of this step, unless the disk failed or a second
        Ctrl-C came while it was written. None where there is none at all.
    """

    def __init__(self, step: int, steps: int, checkpoint: Path | None) -> None:
        super().__init__(f"Training was interrupted after step {step} of {steps}.")
        self.step = step
        self.steps = steps
        self.checkpoint = checkpoint


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Holds Ctrl-C back until the block is done, and gives it then to whoever handles it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted, and only it may set a handler
        return
    held: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if held and callable(before):
        before(*held[0])
