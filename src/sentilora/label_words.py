"""Whether labels are words that a base can know: what they mean to it is what training starts from.

On Rotten Tomatoes letters, numbers and another language's words are learned less well than
"negative" and "positive" (docs/quality.md).
"""

from __future__ import annotations

import re

from sentilora.encoding import PromptEncoder

_PARTS = re.compile(r"\w+|[^\w\s]+")


def label_advice(encoder: PromptEncoder) -> str | None:
    """What to do about labels that are a letter or a number, or of which the base knows only
    pieces; None where there are none."""
    labels, end = encoder.task.labels, len(encoder.terminator)
    bare = [label for label in labels if len(label) == 1 or label.isdecimal()]
    pieces = [
        label
        for label, ids in zip(labels, encoder.label_ids, strict=True)
        if label not in bare and len(ids) - end > len(_PARTS.findall(label))
    ]
    reasons = []
    if bare:
        reasons.append(f"without a meaning of their own: {', '.join(bare)}")
    if pieces:
        reasons.append(f"not one token a word: {', '.join(pieces)}")
    if not reasons:
        return None
    mapped = ",".join(f"{label}=..." for label in labels[:3]) + (",..." if len(labels) > 3 else "")
    return (
        f"Labels {'; '.join(reasons)}. Plain words of the base's own language are learned better, "
        f"above all from few rows; --labels {mapped} puts them in place."
    )
