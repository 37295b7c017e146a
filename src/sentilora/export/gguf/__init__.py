"""Export to GGUF, llama.cpp's format: weights, tokenizer and the frozen task in one file."""

from sentilora.export.gguf.asking import check, load_gguf
from sentilora.export.gguf.quantising import WEIGHTS
from sentilora.export.gguf.writing import check_base, write_gguf

__all__ = ["WEIGHTS", "check", "check_base", "load_gguf", "write_gguf"]
