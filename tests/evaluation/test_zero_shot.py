"""The untuned base asked more fairly: by hand, and against the papers' formulas written out."""

from __future__ import annotations

import numpy as np

from sentilora.evaluation.zero_shot import (
    CONTENT_FREE,
    WITHOUT_TEXT,
    contextual_calibration,
    domain_conditional_pmi,
)


def test_contextual_calibration_by_hand() -> None:
    """A base that says 0.8 to 0.2 of nothing at all, and of a text 0.7 to 0.3."""
    found = contextual_calibration(np.array([[0.7, 0.3]]), np.array([[0.9, 0.1], [0.7, 0.3]]))
    first, second = 0.7 / 0.8, 0.3 / 0.2
    np.testing.assert_allclose(found, [[first / (first + second), second / (first + second)]])


def test_contextual_calibration_chooses_as_the_papers_softmax() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), size=200)
    empty = generator.dirichlet(np.ones(4), size=3)
    prior = empty.mean(axis=0)
    matrix = np.linalg.inv(np.identity(4) * prior)  # W = diag(p_cf)^-1, b = 0
    wanted = [(matrix @ row).argmax() for row in probabilities]
    found = contextual_calibration(probabilities, empty)
    assert found.argmax(axis=1).tolist() == wanted
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.argmax(axis=1).tolist() != probabilities.argmax(axis=1).tolist()


def test_pmi_against_the_ratio() -> None:
    generator = np.random.default_rng(1)
    asked = generator.random((50, 3)) * 0.1  # p(label | prompt), of a whole vocabulary
    alone = generator.random(3) * 0.1
    found = domain_conditional_pmi(np.log(asked), np.log(alone))
    ratio = asked / alone
    np.testing.assert_allclose(found, ratio / ratio.sum(axis=1, keepdims=True))


def test_a_text_that_says_nothing_leaves_all_labels_alike() -> None:
    alone = np.log([0.05, 0.3, 0.001])
    np.testing.assert_allclose(domain_conditional_pmi(alone[np.newaxis], alone), [[1 / 3] * 3])
    probabilities = np.array([[0.2, 0.5, 0.3]])
    found = contextual_calibration(probabilities, np.repeat(probabilities, 3, axis=0))
    np.testing.assert_allclose(found, [[1 / 3] * 3])


def test_pmi_is_contextual_calibration_by_the_empty_text_alone() -> None:
    generator = np.random.default_rng(2)
    asked, alone = generator.random((20, 3)), generator.random((1, 3))
    among = [each / each.sum(axis=1, keepdims=True) for each in (asked, alone)]
    np.testing.assert_allclose(
        contextual_calibration(*among), domain_conditional_pmi(np.log(asked), np.log(alone[0]))
    )


def test_the_texts_are_the_papers() -> None:
    assert set(CONTENT_FREE) == {"N/A", "[MASK]", ""}
    assert WITHOUT_TEXT in CONTENT_FREE
