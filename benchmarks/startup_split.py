"""Where the time of a prediction goes: `python startup_split.py RUN TEXT` prints seconds as JSON.

The product's own functions are timed as `sentilora.load` calls them, in a fresh process.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

# What `sentilora.load` calls, by the phase that it counts for.
PHASES = {
    "load_base": "base",
    "PromptEncoder": "adapter",
    "attach": "adapter",
    "_fill": "adapter",
    "_check_same_base": "verification",
    "_verified": "verification",
}


def main() -> None:
    run, text = sys.argv[1:]
    seconds: dict[str, float] = defaultdict(float)
    began = time.perf_counter()
    from sentilora import classifier, loading

    seconds["imports"] = time.perf_counter() - began
    for name, phase in PHASES.items():
        module = classifier if name == "load_base" else loading
        setattr(module, name, _timed(getattr(module, name), phase, seconds))
    classifier.Artifact.read = _timed(classifier.Artifact.read, "verification", seconds)  # type: ignore[method-assign]
    loaded = time.perf_counter()
    tuned = classifier.load(run)
    timed = sum(seconds.values()) - seconds["imports"]
    seconds["other loading"] = time.perf_counter() - loaded - timed
    scored = time.perf_counter()
    tuned.predict_proba([text])
    seconds["scoring"] = time.perf_counter() - scored
    print(json.dumps(seconds))


def _timed(
    function: Callable[..., Any], phase: str, seconds: dict[str, float]
) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[phase] += time.perf_counter() - began

    return timed


if __name__ == "__main__":
    main()
