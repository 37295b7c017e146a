"""A tokenizer read by `tokenizers` alone does what it does through transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sentilora.bare_tokenizer import FILE, BareTokenizer
from sentilora.encoding import PromptEncoder, tokenizer_fingerprint
from sentilora.errors import UserError
from test_encoding import LONG, ORDINARY, hostile, tasks
from tiny_tokenizers import REAL, TINY, byte_level, real


@pytest.fixture(params=[*TINY, *REAL])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """Each tokenizer in turn; the real ones where they can be had."""
    if request.param in TINY:
        return TINY[request.param]()
    return real(request.getfixturevalue("shared"), request.param)


def test_every_text_has_the_same_ids(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    bare = BareTokenizer(tmp_path)
    assert len(bare) == len(tokenizer)
    assert (bare.eos_token_id, bare.unk_token_id) == (
        tokenizer.eos_token_id,
        tokenizer.unk_token_id,
    )
    texts = [*ORDINARY, *hostile(tokenizer), *(text[:3000] for text in LONG.values())]
    for task in tasks(tokenizer):
        own, other = PromptEncoder(task, tokenizer), PromptEncoder(task, bare)
        assert other.label_ids == own.label_ids
        assert other.prefix_ids == own.prefix_ids
        assert other.terminator == own.terminator
        assert other.encode(texts) == own.encode(texts)
        for text in (ORDINARY[0], *list(hostile(tokenizer))[:3]):
            assert other.spans(text) == own.spans(text)


def test_its_fingerprint_tells_another_tokenizer(tmp_path: Path) -> None:
    found = {}
    for name in ("byte_level", "gemma", "unigram"):
        TINY[name]().save_pretrained(tmp_path / name)
        bare = BareTokenizer(tmp_path / name)
        found[name] = tokenizer_fingerprint(bare)
        assert found[name] == tokenizer_fingerprint(BareTokenizer(tmp_path / name))
    assert len(set(found.values())) == 3


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    byte_level().save_pretrained(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(UserError, match="json can't be read"):
        BareTokenizer(tmp_path)
