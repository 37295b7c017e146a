"""A llama.cpp server on a GGUF file, started and asked."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from sentilora.errors import UserError
from sentilora.export.gguf import serving

_MARGIN = 8  # tokens of room beside a prompt of full length


class Server:
    """Runs as long as this object is there.

    Raises UserError, also later, where llama.cpp can't load the file or ends.
    """

    def __init__(self, path: Path, threads: int, longest: int) -> None:
        self._path = path
        script = [sys.executable, "-P", serving.__file__]  # as a module it would import torch
        command = [*script, str(path), str(threads)]
        self._process = subprocess.Popen(
            [*command, str(longest + _MARGIN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        weakref.finalize(self, _end, self._process)
        assert self._process.stdout is not None
        self._address = self._process.stdout.readline().strip()
        if not self._address:
            raise self._ended()
        self._open = build_opener(ProxyHandler({})).open  # this machine needs no proxy

    def complete(
        self, prompts: Sequence[Sequence[int]], bias: list[list[Any]], shown: int
    ) -> list[list[dict[str, Any]]]:
        """For each prompt what is said of the one token behind it; nothing for half a character."""
        body = {
            "prompt": [list(prompt) for prompt in prompts],
            "n_predict": 1,
            "n_probs": shown,
            "logit_bias": bias,
            "cache_prompt": True,
        }
        answers = self._post("/completion", body)
        answers = answers if isinstance(answers, list) else [answers]
        in_order = sorted(answers, key=lambda answer: answer["index"])
        return [answer.get("completion_probabilities") or [] for answer in in_order]

    def _post(self, route: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        request = Request(self._address + route, json.dumps(body).encode(), headers)
        try:
            with self._open(request) as answer:
                return json.load(answer)
        except (URLError, ConnectionError, json.JSONDecodeError) as error:
            raise self._ended() from error

    def _ended(self) -> UserError:
        return UserError(
            f"llama.cpp can't run {self._path.name}: it ended, or refused to answer. Its version "
            "may not know this kind of model; update xllamacpp."
        )


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
