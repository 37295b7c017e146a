"""A frozen transformer with adapters on its query, key and value, and a backward of its own.

What the general path pays for and this one doesn't: gradients are kept for the adapter and the way
down to it alone; the instruction and all rows go through one matrix product a projection, query,
key and value in one; attention is plain matrix products, which suit many short rows; the last block
is computed at label positions only. `body` runs it, `architectures` knows which models it fits.
"""

from sentilora.scoring.frozen.architectures import frozen_model
from sentilora.scoring.frozen.engine import FrozenEngine

__all__ = ["FrozenEngine", "frozen_model"]
