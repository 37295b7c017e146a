"""The referee: token ids and next-token log-probabilities from llama.cpp itself.

It runs in a process of its own, since it ends the process when an assertion of it fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class LlamaCppError(RuntimeError):
    """llama.cpp could not load or run the file."""


def tokenize(path: Path, texts: Sequence[str]) -> list[list[int]]:
    """Each text's ids, special tokens parsed and BOS or EOS put in as the file asks."""
    return _ask(path, {"texts": list(texts)})["ids"]


def next_token(path: Path, prompts: Sequence[Sequence[int]]) -> list[dict[int, float]]:
    """For each prompt (token ids) the log-probability of each next token, over the vocabulary."""
    answers = _ask(path, {"prompts": [list(prompt) for prompt in prompts]})["log_probs"]
    return [{int(token): value for token, value in answer} for answer in answers]


def _ask(path: Path, question: dict[str, Any]) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, __file__, str(path)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode != 0:
        raise LlamaCppError(result.stderr[-2000:])
    return json.loads(result.stdout.splitlines()[-1])


def _serve(path: str, question: dict[str, Any]) -> dict[str, Any]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = 128
    params.n_parallel = 1
    params.warmup = False
    params.verbosity = 0
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)

    def post(route: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            server.listening_address + route,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    ids, log_probs = [], []
    for text in question.get("texts", ()):
        body = {"content": text, "add_special": True, "parse_special": True}
        ids.append(post("/tokenize", body)["tokens"])
    for prompt in question.get("prompts", ()):
        # a token that ends the text or half a character would be answered without probabilities;
        # those asked for are the model's, before the bias
        body = {"prompt": prompt, "n_predict": 1, "n_probs": 100_000, "logit_bias": [["a", 1000]]}
        (answer,) = post("/completion", body)["completion_probabilities"]
        log_probs.append([(token["id"], token["logprob"]) for token in answer["top_logprobs"]])
    return {"ids": ids, "log_probs": log_probs}


if __name__ == "__main__":
    print(json.dumps(_serve(sys.argv[1], json.load(sys.stdin))))
