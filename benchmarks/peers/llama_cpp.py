"""llama.cpp's server, through xllamacpp, on the base's own GGUF file.

Its slots keep what they have run, so the instruction is shared by the rows of a slot. A prompt is
given as token ids, and one token generated; how many slots is what is tuned.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from typing import Any

import xllamacpp
from common import Job, Stopwatch

from peers.picking import label_of, run_scoring

SLOTS = (8, 16, 32)
SHOWN = 20  # likeliest tokens asked for, to find a label where another token is said


def run(job: Job) -> dict[str, Any]:
    servers: dict[int, xllamacpp.Server] = {}

    def score(rows: Sequence[int], slots: int) -> list[int | None]:
        if slots not in servers:
            servers.clear()
            servers[slots] = _server(job, slots)
        return _ask(job, servers[slots], rows)

    if job.mode == "tune":  # starting a server is no part of its speed
        return {"batch": max(SLOTS, key=lambda slots: _rate(job, slots))}
    return run_scoring(job, score)


def _rate(job: Job, slots: int) -> float:
    server = _server(job, slots)
    rows = range(min(len(job.prompts), 4 * max(SLOTS)))
    _ask(job, server, rows[-slots:])
    with Stopwatch() as clock:
        _ask(job, server, rows)
    return len(rows) / clock.seconds


def _server(job: Job, slots: int) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = job.gguf
    params.n_ctx = slots * (max(map(len, job.prompts)) + 8)
    params.n_parallel = slots
    params.n_batch = params.n_ubatch = 2048
    params.cache_ram_mib = 0  # rows are met again after the warm-up: no prompt may be kept whole
    params.warmup = True
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job.threads
    params.n_gpu_layers = 0 if job.device == "cpu" else 999
    return xllamacpp.Server(params)


def _ask(job: Job, server: xllamacpp.Server, rows: Sequence[int]) -> list[int | None]:
    body = {
        "prompt": [job.prompts[row] for row in rows],
        "n_predict": 1,
        "n_probs": SHOWN,
        "temperature": 0,
        "cache_prompt": True,
    }
    request = urllib.request.Request(
        server.listening_address + "/completion",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        answers = json.load(response)
    answers = answers if isinstance(answers, list) else [answers]
    return [_likeliest(job, answer) for answer in sorted(answers, key=lambda one: one["index"])]


def _likeliest(job: Job, answer: dict[str, Any]) -> int | None:
    """The likeliest label among the tokens shown (likeliest first), if one is there."""
    said = answer.get("completion_probabilities") or [{"top_logprobs": []}]
    found = (label_of(token["id"], job) for token in said[0]["top_logprobs"])
    return next((label for label in found if label is not None), None)
