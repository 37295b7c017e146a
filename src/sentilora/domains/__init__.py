"""From domain to domain: what a model that was tuned on one kind of texts does on others."""

from __future__ import annotations

from sentilora.domains.matrix import Cell
from sentilora.domains.scoring import Answering
from sentilora.domains.sources import Domain, load_domains, tell_apart
from sentilora.domains.study import check_rows, matrix, planned

__all__ = [
    "Answering",
    "Cell",
    "Domain",
    "check_rows",
    "load_domains",
    "matrix",
    "planned",
    "tell_apart",
]
