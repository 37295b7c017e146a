"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see design: threads
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the tests ask nothing of a hub

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets and tokenizers beside the checkout; a user's clone has none."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder of data sets and tokenizers beside the checkout (../shared)")
    return SHARED
