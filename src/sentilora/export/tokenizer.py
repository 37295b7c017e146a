"""A tokenizer's files, beside the model that it belongs to."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_NUMBERED = re.compile(r"\(os error (\d+)\)")


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer's files to `folder`.

    Raises OSError where they can't be written, which the library says by an error of no kind.
    """
    try:
        tokenizer.save_pretrained(folder)
    except Exception as error:
        found = _NUMBERED.search(str(error))
        if type(error) is not Exception or found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number)) from error
