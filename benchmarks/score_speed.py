"""How fast the product scores beside what a user would take instead; README.md says how to run it.

Everybody labels the same rows, given as the same token ids, with the base as it is (which is also
what an adapter merged into its base is). The labels must be the product's.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from importlib.util import find_spec

from contenders import Contender, Outcome, compete, select
from rows import make_job
from scaling import scaling_table
from settings import parse
from tables import lines, show, write_json

from models import gguf_file
from sentilora.errors import UserError

PRODUCT = Contender("sentilora", "peers.product_scoring", "sentilora")
CONTENDERS = (
    PRODUCT,
    Contender(
        "sentilora-vocabulary",
        "peers.product_scoring",
        "sentilora",
        options={"vocabulary": True},
    ),
    Contender("pipeline", "peers.pipeline", batch=1),
    Contender("generate", "peers.generate", tuned=True),
    Contender("full-logits", "peers.full_logits", tuned=True),
    Contender("llama.cpp", "peers.llama_cpp", "xllamacpp", tuned=True, needs="gguf"),
    Contender("onnxruntime", "peers.onnx_runtime", "onnxruntime", tuned=True),
    Contender("vllm", "peers.vllm_scoring", "vllm", needs="gpu"),
)


def same_labels(outcome: Outcome, product: Outcome) -> str:
    """On how many rows the label is the product's, and how close a call the others were."""
    if outcome is product or not outcome.passes:
        return ""
    said = outcome.passes[0]["labels"]
    own = product.passes[0]
    margins = [abs(row[0] - row[1]) for row in map(_two_best, own["log_probs"])]
    compared = [row for row, label in enumerate(said) if label is not None]
    other = [row for row in compared if said[row] != own["labels"][row]]
    parts = [f"same label on {len(compared) - len(other)} of {len(compared)}"]
    if other:
        parts.append(f"others within {max(margins[row] for row in other):.2g}")
    if len(compared) < len(said):
        parts.append(f"no label said on {len(said) - len(compared)}")
    return ", ".join(parts)


def _two_best(log_probs: list[float]) -> list[float]:
    return sorted(log_probs, reverse=True)[:2]


def main() -> None:
    settings = parse(__doc__.splitlines()[0], rows=512)
    if settings.scaling:
        write_json(settings, {"scaling": scaling_table(settings, PRODUCT, training=False)})
        return
    contenders = select(CONTENDERS, settings.peers, settings.trl_python)
    job = make_job(settings, training=False)
    if find_spec("xllamacpp") and any(one.needs == "gguf" for one in contenders):
        file = gguf_file(settings.model)
        job = replace(job, gguf=str(file) if file else None)
    outcomes, limits = compete(contenders, job, settings.rounds, settings.trl_python, check=False)
    found = lines(outcomes, limits, job, same_labels)
    show("Scoring", found, settings, job)
    write_json(settings, {"scoring": [asdict(line) for line in found]})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"Error: {error}")
