"""Running the parts of a batch side by side, each on its own threads.

On a CPU hundreds of small operations a block, each cut up among all threads, wait for each other at
every end. Parts that run through all blocks on their own meet once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")

# The number of threads is the process's, so one batch at a time is run in parts.
_one_at_a_time = threading.Lock()


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The results of `tasks`, which may not need gradients recorded, in their order.

    They share torch's threads. The first error of a task is raised, once all have
    ended.
    """
    if len(tasks) == 1:
        return [tasks[0]()]
    with _one_at_a_time:
        threads = torch.get_num_threads()
        inference = torch.is_inference_mode_enabled()
        workers = min(threads, len(tasks))
        futures: list[Future[T]] = []
        try:
            for task in tasks:
                futures.append(_pool(workers).submit(_run, task, threads // workers, inference))
        finally:  # also on Ctrl-C: nobody is left running, or with a share of the threads
            wait(futures)
            torch.set_num_threads(threads)
    return [future.result() for future in futures]


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="sentilora")


def _run(task: Callable[[], T], threads: int, inference: bool) -> T:
    """Modes and the number of threads are each thread's own (but MKL's, which is set with it)."""
    torch.set_num_threads(threads)
    with torch.inference_mode(inference), torch.no_grad():
        return task()
