"""Asking models about the domains' test rows, each once: what one said is kept in a folder."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sentilora.artifact import WEIGHTS, Artifact
from sentilora.correction import Correction
from sentilora.domains.mixture import headed
from sentilora.domains.sources import Domain
from sentilora.evaluation.measuring import Scoring
from sentilora.files import sha256, write_bytes
from sentilora.scoring import Scores

if TYPE_CHECKING:
    from sentilora.classifier import Classifier


@dataclass(frozen=True)
class Answering:
    """Asks the adapters in run folders; scores go into `folder`.

    scoring, loading
        As for a comparison's `Measurer`.
    """

    folder: Path
    scoring: Scoring
    loading: Mapping[str, Any]

    def ask(
        self, run: Path, domains: Sequence[Domain], *, untuned: bool = False, mixed: bool = False
    ) -> dict[str, Scores]:
        """By domain the scores of its test rows: by the adapter, or `untuned` by its base.

        `mixed` says that texts come under their domain's heading.
        """
        artifact = Artifact.read(run)
        found: dict[str, Scores] = {}
        classifier: Classifier | None = None
        for domain in domains:
            texts = [row.text for row in domain.dataset.test]
            asked = [headed(domain, text) for text in texts] if mixed else texts
            kept = self.folder / f"{self._key(artifact, asked, untuned)}.npz"
            if not kept.exists():
                classifier = classifier or self._load(run)
                what = f"{run.name} on {domain.name}"
                self._keep(kept, self._scores(classifier, asked, untuned, what))
            with np.load(kept) as arrays:
                correction = Correction() if untuned else artifact.correction
                found[domain.name] = Scores(arrays["log_probs"], arrays["greedy"], correction)
        return found

    def _load(self, run: Path) -> Classifier:
        from sentilora.classifier import load

        return load(run, **self.loading)

    def _scores(
        self, classifier: Classifier, texts: Sequence[str], untuned: bool, what: str
    ) -> Scores:
        if not untuned:
            return self.scoring(classifier, f"scoring {what}")(texts)
        with classifier.untuned() as base:
            return self.scoring(base, f"scoring {what}, untuned")(texts)

    def _keep(self, path: Path, scores: Scores) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.savez_compressed(content, log_probs=scores.log_probs, greedy=scores.greedy)
        write_bytes(path, content.getvalue())

    def _key(self, artifact: Artifact, texts: Sequence[str], untuned: bool) -> str:
        """What the scores depend on: the adapter or its base and task, the texts, and the machine's
        part."""
        if untuned:
            base = artifact.base
            asked = f"{base.fingerprint} {base.quantized} {artifact.task.to_dict()}"
        else:
            asked = sha256(artifact.path / WEIGHTS)
        made = hashlib.sha256(repr((asked, untuned, sorted(self.loading.items()))).encode())
        for text in texts:
            made.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return made.hexdigest()[:32]
