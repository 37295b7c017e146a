"""How likely is each label after a prompt: the one answer behind training and all use.

`LabelScorer` scores texts and gives the training loss; `Scores` is what it answers. The package's
parts: `sequences` decides which token sequences are run and where in them labels are predicted,
`head` turns hidden states into logits there, `engine` runs the model's body.
"""

from sentilora.scoring.scorer import LabelScorer
from sentilora.scoring.scores import Scores

__all__ = ["LabelScorer", "Scores"]
