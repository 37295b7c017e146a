"""How fast the product trains beside what a user would take instead; README.md says how to run it.

Everybody trains a rank-8 adapter on query and value with dropout 0.1 on the same rows, once, and
before that three steps without dropout on the same batches, whose losses must be equal.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

from contenders import Contender, Outcome, compete, select
from rows import make_job
from scaling import scaling_table
from settings import parse
from tables import lines, show, write_json

from sentilora.errors import UserError

PRODUCT = Contender("sentilora", "peers.product_training", "sentilora")
_UNCHECKPOINTED = {"gradient_checkpointing": False}
_PACKED = {**_UNCHECKPOINTED, "packing": True, "max_length": 512}
CONTENDERS = (
    PRODUCT,
    Contender("plain", "peers.plain_training", "peft"),
    Contender("trl", "peers.trl_training", "trl", trl=True),
    Contender("trl-uncheckpointed", "peers.trl_training", "trl", trl=True, options=_UNCHECKPOINTED),
    Contender(
        "trl-padding-free",
        "peers.trl_training",
        "trl",
        trl=True,
        options={**_UNCHECKPOINTED, "padding_free": True, "max_length": None},
    ),
    Contender("trl-packing", "peers.trl_training", "trl", trl=True, options=_PACKED),
    Contender("liger", "peers.liger", "liger_kernel", needs="gpu"),
    Contender("unsloth", "peers.unsloth_training", "unsloth", needs="gpu"),
)
# Of the losses of the first steps: what rounding may make of them.
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.02}


def same_losses(outcome: Outcome, product: Outcome, dtype: str) -> str:
    """The largest difference of the first steps' losses, and whether that is rounding."""
    if outcome is product or not outcome.checked or not product.checked:
        return ""
    if outcome.contender.options.get("packing"):
        return "not comparable: its batches are packs"
    pairs = zip(outcome.checked["losses"], product.checked["losses"], strict=True)
    gap = max(abs(one - other) for one, other in pairs)
    return f"loss {'equal' if gap <= TOLERANCE[dtype] else 'DIFFERENT'} (to {gap:.1g})"


def main() -> None:
    settings = parse(__doc__.splitlines()[0], rows=512)
    if settings.scaling:
        write_json(settings, {"scaling": scaling_table(settings, PRODUCT, training=True)})
        return
    contenders = select(CONTENDERS, settings.peers, settings.trl_python)
    job = make_job(settings, training=True)
    outcomes, limits = compete(contenders, job, settings.rounds, settings.trl_python, check=True)
    found = lines(outcomes, limits, job, lambda one, own: same_losses(one, own, settings.dtype))
    show("Training", found, settings, job)
    checks = {one.contender.name: one.checked for one in outcomes}
    write_json(settings, {"training": [asdict(line) for line in found], "checks": checks})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"Error: {error}")
