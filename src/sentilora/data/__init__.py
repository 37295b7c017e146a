"""Where labelled texts come from: files, the Hub, the bundled reviews; and checking them.

`load_data` gives a `DataSet` of checked rows. This package's top level imports the standard
library alone, so that the command line starts fast.
"""

from __future__ import annotations

from sentilora.data.dataset import (
    ALL,
    DataOptions,
    DataReport,
    DataSet,
    Example,
    Problem,
    row_hash,
    text_key,
)
from sentilora.data.labels import parse_labels_option
from sentilora.data.load import load_data

__all__ = [
    "ALL",
    "DataOptions",
    "DataReport",
    "DataSet",
    "Example",
    "Problem",
    "load_data",
    "parse_labels_option",
    "row_hash",
    "text_key",
]
