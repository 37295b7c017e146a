"""A saved tokenizer without transformers: what `PromptEncoder` asks of one, and no more.

A fast tokenizer's work is all done by `tokenizers`, which reads the same `tokenizer.json`; here
it is asked directly, on a device that holds neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from sentilora.errors import UserError
from sentilora.files import read_json

FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"


@dataclass(frozen=True)
class Encoded:
    """The ids of one string, or of several, and with them where each stands in the string."""

    input_ids: list[int] | list[list[int]]
    offset_mapping: list[tuple[int, int]] | list[list[tuple[int, int]]]


class BareTokenizer:
    """The tokenizer in a folder, called as a transformers fast tokenizer is.

    Raises UserError where its files are missing or can't be read.
    """

    is_fast = True

    def __init__(self, folder: Path) -> None:
        settings = read_json(folder / SETTINGS, "The tokenizer's settings")
        try:
            self.backend_tokenizer = Tokenizer.from_file(str(folder / FILE))
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"{folder / FILE} can't be read: {error}. Export it again.") from error
        self.backend_tokenizer.no_truncation()
        self.backend_tokenizer.no_padding()
        self.eos_token_id = self._id(settings.get("eos_token"))
        self.unk_token_id = self._id(settings.get("unk_token"))
        self.all_special_ids = [
            index
            for index, token in self.backend_tokenizer.get_added_tokens_decoder().items()
            if token.special
        ]

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        return_offsets_mapping: bool = False,
        return_attention_mask: bool = False,
        verbose: bool = False,
    ) -> Encoded:
        """The last three are part of the interface and change nothing here."""
        if isinstance(text, str):
            one = self.backend_tokenizer.encode(text, add_special_tokens=add_special_tokens)
            return Encoded(one.ids, one.offsets)
        many = self.backend_tokenizer.encode_batch(
            list(text), add_special_tokens=add_special_tokens
        )
        return Encoded([each.ids for each in many], [each.offsets for each in many])

    def __len__(self) -> int:
        return int(self.backend_tokenizer.get_vocab_size(with_added_tokens=True))

    def batch_decode(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """The texts of ids, control tokens included."""
        decoded: list[str] = self.backend_tokenizer.decode_batch(
            [list(ids) for ids in sequences], skip_special_tokens=False
        )
        return decoded

    def get_added_vocab(self) -> dict[str, int]:
        """The added tokens' ids by their texts."""
        added = self.backend_tokenizer.get_added_tokens_decoder()
        return {token.content: index for index, token in added.items()}

    def _id(self, token: str | dict[str, str] | None) -> int | None:
        """The id of a token as the settings name it: its text, or an object with its text."""
        content = token["content"] if isinstance(token, dict) else token
        found = None if content is None else self.backend_tokenizer.token_to_id(content)
        return None if found is None else int(found)
