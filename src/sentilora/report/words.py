"""The texts that a page shows, their words marked by what they say to the model."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from sentilora.attribution import attribute, html_fragment
from sentilora.classifier import Classifier
from sentilora.report.page import LONGEST, shortened


def marked_by(classifier: Classifier) -> Callable[[str], Markup]:
    """From a text to HTML with its words marked, by occlusion; a long one is shortened instead, for
    each of its words would be a text to ask about."""

    def marked(text: str) -> Markup:
        if len(text) > LONGEST:
            return shortened(text)
        return Markup(html_fragment(attribute(classifier, text)))

    return marked
