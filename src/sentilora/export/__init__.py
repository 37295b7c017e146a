"""Tuned models in other forms: merged into their base, and in other engines' formats.

Every form has the frozen task beside it (`description`), is written whole or not at all
(`staging`), and ends by being asked the same rows as the adapter (`agreement`).
"""

from __future__ import annotations
