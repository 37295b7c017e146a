"""What stands beside an exported model: all that asking it takes, frozen, and where it came from.

`sentilora_export.json` is plain JSON, so that a device without torch can read it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora import __version__
from sentilora.canary import Canary
from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.encoding import tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.files import read_json, sha256, write_json
from sentilora.task import Task

if TYPE_CHECKING:
    from sentilora.classifier import Classifier

EXPORT = "sentilora_export.json"
FORMAT = 1


@dataclass(frozen=True)
class Description:
    """An exported model's task and origin.

    form
        "merged", "onnx" or "gguf", and behind a space the precision of its weights.
    task, correction, conformal
        The frozen question, what its answers' probabilities are corrected with, and the scores
        that label sets are made from, if there are any.
    label_ids
        For each label the token ids that follow the prompt.
    canary
        Fixed texts with the label log-probabilities of the adapter and of the base without it.
    adapter, base
        The name of the run, and the identity of the base.
    files
        The SHA-256 of the other files in the folder.
    """

    form: str
    task: Task
    correction: Correction
    conformal: Conformal | None
    label_ids: tuple[tuple[int, ...], ...]
    tokenizer_fingerprint: str
    canary: Canary
    adapter: str
    base: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, classifier: Classifier, form: str, adapter: str) -> Description:
        """That of an export of `classifier`, its adapter still beside its base."""
        encoder = classifier.scorer.encoder
        return cls(
            form=form,
            task=classifier.task,
            correction=classifier.correction,
            conformal=classifier.conformal,
            label_ids=tuple(map(tuple, encoder.label_ids)),
            tokenizer_fingerprint=tokenizer_fingerprint(encoder.tokenizer),
            canary=Canary.sing(classifier.scorer, classifier.base.dtype),
            adapter=adapter,
            base=classifier.base.to_dict(),
        )

    def write(self, folder: Path) -> None:
        """Put it beside the files in `folder`, with their hashes."""
        files = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
        values = {
            **asdict(replace(self, files=files)),
            "task": self.task.to_dict(),
            "conformal": self.conformal and self.conformal.to_dict(),
        }
        about = {"format": FORMAT, "sentilora": __version__}
        write_json(folder / EXPORT, {**about, **values})

    @classmethod
    def read(cls, folder: Path) -> Description:
        """That of an exported folder; its files are checked by `check_files`.

        Raises UserError where it is damaged, or of another version.
        """
        values = read_json(folder / EXPORT, "The description of an exported model")
        if values.get("format") != FORMAT:
            raise UserError(
                f"{folder} was exported by another version of sentilora (format "
                f"{values.get('format')}; this one reads {FORMAT}). Export it again."
            )
        try:
            return cls(
                form=values["form"],
                task=Task.from_dict(values["task"]),
                correction=Correction.from_dict(values["correction"]),
                conformal=(kept := values["conformal"]) and Conformal.from_dict(kept),
                label_ids=tuple(tuple(ids) for ids in values["label_ids"]),
                tokenizer_fingerprint=values["tokenizer_fingerprint"],
                canary=Canary.from_dict(values["canary"]),
                adapter=values["adapter"],
                base=values["base"],
                files=dict(values["files"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{folder / EXPORT} is damaged ({error}). Export it again.") from error

    def check_files(self, folder: Path) -> None:
        """Raise UserError where one of the files isn't the one that was exported."""
        for name, expected in self.files.items():
            path = folder / name
            if not path.is_file() or sha256(path) != expected:
                raise UserError(
                    f"{path} is missing or was changed after it was exported. Export it again."
                )
