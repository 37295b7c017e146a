"""Texts that tokenizers disagree about, and real ones."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

HOSTILE = [
    "a  5",
    "",
    " ",
    "\n",
    "\n\nleading newlines",
    "trailing spaces   ",
    "tabs\t\tand \r\n windows\r\nlines \n \n",
    "I'm, you're, it'LL, WE'VE, DON'T, he'd'S",
    "1234567 3.14159 ١٢٣ ½ 12345٦ ²³ x2y33z444",
    "$100 <= 5% ^~|`+= #hash @at [x](y) {z} \\ / //\r\n /\n",
    "naïve café — “quoted” … „unten“ «là» ¿qué?",
    "e\u0301 n\u0303 decomposed, \u00e9 \u00f1 composed",
    "हिन्दी में पाठ, ภาษาไทย, 한국어 텍스트, 日本語のテキスト。中文文本！",
    "שלום עולם مرحبا بالعالم \u200fRTL\u200e",
    "👍🏽 👩‍👩‍👧‍👦 🇩🇪 ☃️ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈",
    "nbsp\u00a0here ideographic\u3000space thin\u2009space",
    "zero\u200bwidth line\u2028sep next\u0085line",
    "Mixed CamelCaseWORDs fooBARbaz HTTPServer ÀÉÎ àéî ŠŽ ǅ ªº",
    "ends with space \n and  two   three    four",
    "<|endoftext|> inside <|im_start|> and <s> </s> <unk> <0x0A> [INST]",
    "'s 't ' ' '' '\n's",
    "________ ----- ===== !!!??? ...",
    "\ufeffBOM \ufffd replacement \x01\x02 control \x7f",
    "x" * 300,
    " " * 40 + "x" + "\n" * 20,
]


def random_texts(count: int, seed: int = 0) -> list[str]:
    """Random mixtures of letters, digits, spaces and marks of many scripts."""
    draw = random.Random(seed)
    pool = (
        "abcXYZ'’.,!?-_/()  \t\n\r0189½²éÉßǅאمहि中語한é\u0301👍\u200d\u00a0\u3000'sltmredv<>|=+$^~`"
    )
    return ["".join(draw.choices(pool, k=draw.randint(1, 60))) for _ in range(count)]


def reviews(shared: Path, count: int | None = None) -> list[str]:
    """Rotten Tomatoes rows, all of the test split or the first `count`."""
    path = shared / "data" / "rotten_tomatoes" / "test.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    return texts[:count]
