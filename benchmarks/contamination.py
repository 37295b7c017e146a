"""Has the base seen the test rows before? What can be looked for; README.md says how to run it.

Two signs, both of which can be there or not:

- *Loss*: the base's own language-model loss per token on the test rows, beside the training rows of
  the same set and the bundled reviews, which were written after the base was trained. Memorised
  rows would be far easier than rows of the same kind.
- *Order* (Oren et al. 2023, "Proving Test Set Contamination in Black-Box Language Models"): a base
  that has read the file finds its rows likelier in the file's order than in any other. Rows of one
  label stand together there, so they are shuffled within each label alone.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sentilora.bases import LoadedBase, load_base, resolve
from sentilora.data import load_data

ROWS = 1_000
TOGETHER = 12  # rows a stretch, in the test of order
SHUFFLES = 20
BATCH = 16
console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder")
    parser.add_argument("--model", default="smollm2")
    settings = parser.parse_args()
    base = load_base(resolve(settings.model), device="cpu")
    data, bundled = load_data(str(settings.data)), load_data(None)
    films = [row.text for row in bundled.all_rows()]
    sources = {
        f"{data.name}, train": [row.text for row in data.train],
        f"{data.name}, test": [row.text for row in data.test],
        "the bundled reviews, written anew": films,
        "the bundled reviews, lower-cased as the set is": [text.lower() for text in films],
    }
    table = Table("rows of", "loss a token", "+-", "bits a character", title="Loss")
    for name, texts in sources.items():
        random.Random(0).shuffle(texts)
        table.add_row(name, *_figures(base, texts[:ROWS]))
    console.print(table)
    by_label = [[row.text for row in data.test if row.label == k] for k in range(len(data.labels))]
    _show_order(base, by_label)


def _figures(base: LoadedBase, texts: Sequence[str]) -> tuple[str, str, str]:
    """The mean over rows of the loss per token, twice its standard error, bits per character."""
    losses = _losses(base, texts)
    per_token = [total / tokens for total, tokens in losses]
    error = 2 * stdev(per_token) / len(per_token) ** 0.5
    bits = sum(total for total, _ in losses) / sum(map(len, texts)) / torch.log(torch.tensor(2.0))
    return f"{mean(per_token):.3f}", f"{error:.3f}", f"{float(bits):.3f}"


def _show_order(base: LoadedBase, by_label: Sequence[Sequence[str]]) -> None:
    """Print the loss in the file's order, and in shuffled ones."""
    own = _order_loss(base, by_label)
    others = []
    for seed in track(range(SHUFFLES), "orders", console=Console(stderr=True)):
        shuffled = [random.Random(seed).sample(rows, len(rows)) for rows in by_label]
        others.append(_order_loss(base, shuffled))
    lower = sum(other <= own for other in others)
    console.print(
        f"Order: {own:.4f} nats a token in the file's own, {mean(others):.4f} "
        f"({min(others):.4f} to {max(others):.4f}) in {SHUFFLES} others; of these {lower} are no "
        f"higher, p = {(lower + 1) / (SHUFFLES + 1):.2f}."
    )


def _order_loss(base: LoadedBase, by_label: Sequence[Sequence[str]]) -> float:
    stretches = [
        "\n".join(rows[start : start + TOGETHER])
        for rows in by_label
        for start in range(0, len(rows), TOGETHER)
    ]
    losses = _losses(base, stretches)
    return sum(total for total, _ in losses) / sum(tokens for _, tokens in losses)


def _losses(base: LoadedBase, texts: Sequence[str]) -> list[tuple[float, int]]:
    """For each text the sum of its tokens' losses, and how many were predicted."""
    encoded = [base.tokenizer(f"\n{text}").input_ids for text in texts]
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
    found: list[tuple[float, int]] = [(0.0, 0)] * len(encoded)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        width = max(len(encoded[row]) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.int64)
        for k, row in enumerate(rows):
            ids[k, : len(encoded[row])] = torch.tensor(encoded[row])
        with torch.inference_mode():
            logits = base.model(input_ids=ids).logits[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), ids[:, 1:], reduction="none"
        )
        for k, row in enumerate(rows):
            tokens = len(encoded[row]) - 1  # padding stands behind and is left out
            found[row] = (float(losses[k, :tokens].sum()), tokens)
    return found


if __name__ == "__main__":
    main()
