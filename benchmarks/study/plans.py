"""Which cells each part of the study is made of."""

from __future__ import annotations

from typing import Any

from study.cells import Cell

SEEDS = (0, 1, 2)
SIZES = (32, 128, 512, 2048, 0)  # 0: all rows
RT = "rotten_tomatoes"
PHRASES = "financial_phrasebank"

FREE = ("zero-shot", "calibrated")  # learn nothing, so a cell is enough
TRAINED = ("majority", "tfidf", "embeddings", "setfit", "head", "tuned")


def _curve() -> list[Cell]:
    cells = [Cell(method, RT, 0, 0) for method in FREE]
    cells += [
        Cell(method, RT, rows, seed) for rows in SIZES for method in TRAINED for seed in SEEDS
    ]
    # A prompt of nine texts is ten times as long: with many rows a seed less.
    cells += [Cell("in-context", RT, rows, seed) for rows in (32, 128, 512) for seed in SEEDS]
    return cells + [Cell("in-context", RT, rows, 0) for rows in (2048, 0)]


def _heads() -> list[Cell]:
    """Label generation against a head, with three labels and with ten."""
    return [
        Cell(method, data, rows, seed)
        for data in (PHRASES, "mixed")
        for rows in (128, 512, 2048)
        for method in ("tfidf", "head", "tuned")
        for seed in SEEDS
    ]


def _labels() -> list[Cell]:
    """Labels of several words, of no meaning, and of another language, beside good single words."""
    single = {
        "very negative": "terrible",
        "negative": "bad",
        "neutral": "okay",
        "positive": "good",
        "very positive": "great",
    }
    wordings: dict[str, list[dict[str, str]]] = {
        "sst5": [{}, single],
        RT: [
            {},
            {"negative": "A", "positive": "B"},
            {"negative": "schlecht", "positive": "gut"},
            {"negative": "0", "positive": "1"},
        ],
    }
    return [
        Cell("tuned", data, 2048, seed, {"words": words} if words else {})
        for data, each in wordings.items()
        for words in each
        for seed in SEEDS
    ]


def _balance() -> list[Cell]:
    """Balanced weights where a label is rare; once at the rate of fewer rows, too."""
    each: tuple[dict[str, Any], ...] = ({}, {"class_weight": "balanced"})
    cells = [Cell("tuned", PHRASES, 0, seed, options) for options in each for seed in SEEDS]
    slow = [{**options, "learning_rate": 1e-3} for options in each]
    return cells + [Cell("tuned", PHRASES, 0, 0, options) for options in slow]


def _settings() -> list[Cell]:
    """One training setting at a time other than its default, on the validation rows."""
    others: list[dict[str, Any]] = [
        {},
        {"learning_rate": 5e-4},
        {"learning_rate": 2e-3},
        {"batch_size": 16},
        {"epochs": 3},
        {"average": 0.0},
        {"dropout": 0.0},
        {"dropout": 0.3},
        {"objective": "labels"},
        {"template": "Movie review: {text}\nSentiment:"},
    ]
    return [
        Cell("tuned", RT, 2048, seed, options, "validation")
        for seed in SEEDS[:2]
        for options in others
    ]


def _kinds() -> list[Cell]:
    """Kinds of LoRA, on the validation rows, some at two rates; PiSSA with its authors' alpha."""
    kinds: list[dict[str, Any]] = [
        {},
        {"lora_plus": 16, "learning_rate": 2e-4},
        {"lora_plus": 16, "learning_rate": 5e-4},
        {"lora_plus": 4, "learning_rate": 5e-4},
        {"rslora": True},
        {"rslora": True, "learning_rate": 5e-4},
        {"dora": True},
        {"pissa": True, "alpha": 8, "learning_rate": 2e-4},
        {"pissa": True, "alpha": 8, "learning_rate": 1e-3},
    ]
    return [
        Cell("tuned", RT, 2048, seed, options, "validation") for options in kinds for seed in SEEDS
    ]


def _quantized() -> list[Cell]:
    """A base in four bits while it is tuned, beside one in sixteen."""
    each: tuple[dict[str, Any], ...] = ({}, {"quantize": "nf4"})
    return [Cell("tuned", RT, 0, seed, options) for options in each for seed in SEEDS]


def _rates() -> list[Cell]:
    """How fast many labels are learned, on validation rows."""
    slow, fast, faster = ({"learning_rate": rate} for rate in (1e-3, 2e-3, 4e-3))
    cells = [
        Cell("tuned", data, rows, 0, options, "validation")
        for data, rows in (
            ("mixed", 128),
            ("mixed", 512),
            ("mixed", 2048),
            ("sst5", 2048),
            (PHRASES, 128),
            (PHRASES, 512),
            (PHRASES, 2048),
        )
        for options in (slow, fast, faster)
    ]
    first = {
        f"{domain} {sentiment}": f"{sentiment} {domain}"
        for domain in ("film", "product", "finance", "code")
        for sentiment in ("negative", "neutral", "positive")
        if sentiment != "neutral" or domain in ("finance", "code")
    }
    letters = dict(zip(first, "ABCDEFGHIJ", strict=True))
    others: list[dict[str, Any]] = [
        {"learning_rate": 8e-3},
        {**slow, "batch_size": 16},
        {**fast, "batch_size": 16},
        {**slow, "objective": "labels"},
        {**fast, "objective": "labels"},
        {**slow, "words": first},
        {**faster, "words": letters},
    ]
    cells += [Cell("tuned", "mixed", 2048, 0, options, "validation") for options in others]
    # Once more, for ten labels were better at twice the default with the first draw.
    cells += [
        Cell("tuned", "mixed", 2048, 1, options, "validation") for options in (faster, others[0])
    ]
    cells += [Cell("tuned", RT, 2048, 0, faster, "validation")]  # two labels
    # Ten labels stay behind a head: are they passed over too seldom?
    cells += [Cell("tuned", "mixed", 2048, seed, {"epochs": 3}, "validation") for seed in SEEDS]
    cells += [Cell("tuned", "mixed", 2048, SEEDS[-1], faster, "validation")]
    return cells + [
        Cell("tuned", PHRASES, 2048, 0, {"class_weight": "balanced", **rate}, "validation")
        for rate in (slow, faster)
    ]


def _head_rates() -> list[Cell]:
    """How fast a head learns, on validation rows.

    And on test rows what a rate costs that is too low: with ten labels, and a head with few rows.
    """
    slow, fast, faster = ({"learning_rate": rate} for rate in (1e-3, 2e-3, 4e-3))
    few = (
        (RT, 32, (slow, {}, faster)),
        (RT, 128, (slow, fast, {})),
        (PHRASES, 128, (slow, fast, {})),
    )
    cells = [Cell(method, "mixed", 2048, 0, slow) for method in ("tuned", "head")]
    cells += [
        Cell("head", data, rows, seed, options)
        for data, rows, each in few
        for options in each
        for seed in SEEDS
    ]
    return cells + [
        Cell("head", data, rows, 0, options, "validation")
        for data, rows in (("mixed", 2048), (PHRASES, 2048), *(one[:2] for one in few))
        for options in (slow, fast, faster)
    ]


def _long() -> list[Cell]:
    """What is read of texts longer than the maximum length, on validation rows."""
    short = {"max_length": 256, "epochs": 1}
    kept = [{**short, "long_texts": kept} for kept in ("beginning", "ends")]
    cells = [Cell("tuned", "imdb", 1000, 0, options, "validation") for options in kept]
    # Trained on beginnings, and asked about all of a text.
    return [*cells, Cell("windowed", "imdb", 1000, 0, kept[0], "validation")]


def _imdb() -> list[Cell]:
    """Its whole test split, with texts as long as the default reads."""
    return [Cell("tuned", "imdb", 4000, 0, {"epochs": 1})]


PLANS = {
    "curve": _curve(),
    "heads": _heads(),
    "labels": _labels(),
    "balance": _balance(),
    "settings": _settings(),
    "kinds": _kinds(),
    "quantized": _quantized(),
    "rates": _rates() + _head_rates(),
    "long": _long(),
    "imdb": _imdb(),
}
