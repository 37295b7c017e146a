"""Export to GGUF, llama.cpp's format: weights, tokenizer and the frozen task in one file."""

from sentilora.export.gguf.asking import load_gguf, not_checked
from sentilora.export.gguf.quantising import WEIGHTS
from sentilora.export.gguf.writing import write_gguf

__all__ = ["WEIGHTS", "load_gguf", "not_checked", "write_gguf"]
