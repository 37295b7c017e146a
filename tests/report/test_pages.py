"""Each page says what its result holds, on its own, whatever names the user has."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from results import HOSTILE, compared, evaluated, history, transferred
from rich.console import Console

from pages import Page, read_page
from sentilora.comparison.tables import comparison_tables
from sentilora.errors import UserError
from sentilora.printable import printable
from sentilora.report.comparison import comparison_page
from sentilora.report.domains import domains_page
from sentilora.report.evaluation import evaluation_page
from sentilora.report.writing import check_report, lacking

NAMED = {"run": "tiny-films", "base": "tiny", "history": history()}


def evaluation_text(*result: Any, **options: Any) -> str:
    return evaluation_page(*(result or evaluated()), **{**NAMED, **options})


def comparison_text(*names: str) -> str:
    comparison = compared(*([names] if names else []))
    curves = {one.name: [history(seed=1), history(seed=2)] for one in comparison.contenders}
    return comparison_page(comparison, curves)


def domains_text(*names: str) -> str:
    return domains_page(*transferred(*([names] if names else [])))


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def interval(metrics: Any) -> str:
    low, high = metrics.accuracy_interval
    return f"{percent(metrics.accuracy)} % [{percent(low)}, {percent(high)}]"


@pytest.mark.parametrize("make", [evaluation_text, comparison_text, domains_text])
def test_a_page_is_whole_in_itself_and_always_the_same(make: Any) -> None:
    text = make()
    read_page(text)
    assert make() == text
    assert not re.search(r"20\d\d-\d\d-\d\d", text)
    assert not re.search(r"(fill|stroke): ?#", text)  # colours are the page's, for both modes


def test_the_figures_of_an_evaluation() -> None:
    evaluation, scores, examples = evaluated()
    page = read_page(evaluation_text(evaluation, scores, examples))
    tuned = evaluation.tuned
    beside = page.tables["The same rows, by each"]
    for name, metrics in zip(
        ("tuned", "untuned base", "TF-IDF + log. reg.", "majority class"),
        evaluation.results.values(),
        strict=True,
    ):
        assert beside.line(name)[:2] == [interval(metrics), f"{metrics.macro_f1:.3f}"]
        assert f"{name} {interval(metrics)}" in page.plots()[0]
    assert beside.line("tuned")[2] == f"{tuned.calibration_error:.3f}"
    for label, each in tuned.per_class.items():
        shares = [f"{share:.3f}" for share in (each.precision, each.recall, each.f1)]
        assert page.tables["The tuned model"].line(label) == [*shares, str(each.support)]
    confusion = page.tables["Confusion: a true label's rows, by the label said"]
    for label, counts in zip(tuned.labels, tuned.confusion, strict=True):
        assert confusion.line(label) == [
            f"{count} {100 * count / sum(counts):.0f} %" for count in counts
        ]
    low, high = tuned.accuracy_interval
    headline = f"{percent(tuned.accuracy)} % accuracy [{percent(low)}, {percent(high)}]"
    assert headline in page.text
    calibration = page.tables[
        "The tuned model's calibration in 15 bins, before and after the temperature of 1.60"
    ]
    for name, found in (
        ("before", evaluation.calibration.before),
        ("after", evaluation.calibration.after),
    ):
        figures = (found.ece, found.adaptive_ece, found.brier_score, found.nll)
        assert calibration.line(name) == [f"{figure:.3f}" for figure in figures]
    abstaining = page.tables["The labels that it gives, and how right they are"]
    for each in evaluation.selective_accuracy:
        line = abstaining.line(f"{each.threshold:g}" if each.threshold else "never")
        assert line[:2] == [str(each.rows), f"{percent(each.share)} %"]
    assert "films, test Rows measured 120 Left out, trained or validated on 1,234" in page.text
    assert "A note & more." in page.text


def test_the_learning_curve_has_every_evaluation() -> None:
    page = read_page(evaluation_text())
    shown = page.tables["The evaluations on the validation rows"]
    for entry in history():
        trained = "-" if entry["train_loss"] is None else f"{entry['train_loss']:.3f}"
        assert shown.line(str(entry["step"])) == [
            trained,
            f"{entry['loss']:.3f}",
            f"{percent(entry['accuracy'])} %",
            f"{entry['macro_f1']:.3f}",
        ]
    assert any("the best evaluation was at step 20" in plot for plot in page.plots())
    assert "How it learned" not in read_page(evaluation_text(history=[])).text


def test_reliability_before_and_after_a_temperature() -> None:
    plots = read_page(evaluation_text()).text
    assert "before the temperature" in plots
    assert "with the temperature" in plots
    without = read_page(evaluation_text(*evaluated(temperature=1.0)))
    assert "before the temperature" not in without.text
    assert (
        "no temperature" in without.tables["The tuned model's calibration in 15 bins"].lines[1][0]
    )
    assert "before and after the temperature" not in without.text


def test_the_worst_errors() -> None:
    evaluation, scores, examples = evaluated()
    page = read_page(evaluation_text(evaluation, scores, examples))
    probabilities = np.array(scores.probabilities)
    wrong = [
        (probabilities[row].max(), example)
        for row, example in enumerate(examples)
        if probabilities[row].argmax() != example.label
    ]
    wrong.sort(key=lambda pair: -pair[0])
    assert len(wrong) > 20
    said = page.text.split("The errors it is surest of")[1]
    assert f"20 of the {len(wrong)} rows" in said
    shown = re.findall(r"said \w+ \(([\d.]+) %\), is (\w+) \([\d.]+ %\) · test row (\d+)", said)
    labels = evaluation.tuned.labels
    assert shown == [
        (percent(sure), labels[example.label], str(example.row)) for sure, example in wrong[:20]
    ]


def test_texts_are_shortened_and_can_be_shown_otherwise() -> None:
    long = "so " * 1000
    page = read_page(evaluation_text(*evaluated(text=long)))
    assert max(map(len, re.findall(r"so [so\[…\] ]*", page.text))) < 600
    assert "[…]" in page.text
    marked = evaluation_text(shown=lambda text: Markup("<mark>{}</mark>").format(text))
    assert marked.count("<mark>a text ") == 20


def test_nothing_wrong_and_many_labels() -> None:
    labels = tuple(f"label {number}" for number in range(12))
    evaluation, scores, examples = evaluated(labels)
    page = read_page(evaluation_text(evaluation, scores, examples))
    assert "The most frequent kinds of error" in page.tables
    right = [
        example for row, example in enumerate(examples) if scores.predicted[row] == example.label
    ]
    kept = [row for row, example in enumerate(examples) if example in right]
    few = type(scores)(scores.log_probs[kept], scores.greedy[kept])
    assert "There are none" in read_page(evaluation_text(evaluation, few, right)).text


def test_the_figures_of_a_comparison() -> None:
    comparison = compared()
    page = read_page(comparison_text())
    quality = page.tables["The same rows, by each"]
    training, use = page.tables["What training takes"], page.tables["What using them takes"]
    for one in comparison.contenders:
        shares = [run.tuned.accuracy for run in one.runs]
        low, high = one.accuracy_interval
        assert quality.line(one.name) == [
            interval(one.runs[0].untuned),
            f"{percent(mean(shares))} % [{percent(low)}, {percent(high)}]",
            f"{percent(min(shares))} to {percent(max(shares))}",
        ]
        speed = mean(run.rows_per_second for run in one.runs)
        assert training.line(one.name) == ["1.0 M", "0.34 %", "1 min 02 s", "2.1 GB"]
        assert use.line(one.name) == ["1.9 MB", "45 ms", f"{speed:.1f}"]
        confusion = page.tables[f"{one.name}: a true label's rows, by the label said"]
        counts = np.sum([run.tuned.confusion for run in one.runs], axis=0)
        for label, row in zip(comparison.labels, counts, strict=True):
            shown = [f"{count} {100 * count / sum(row):.0f} %" for count in row]
            assert confusion.line(label) == shown
        assert any(f"{one.name} {speed:.1f} rows/s" in plot for plot in page.plots())
    baseline = comparison.baselines["majority_class"]
    assert quality.line("majority class")[1] == interval(baseline)
    (pair,) = comparison.pairs
    gap = pair.difference
    bounds = f"[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
    (line,) = page.tables["Each one less another, on the same rows"].lines[1:]
    assert line[:3] == [pair.first, pair.second, f"{100 * gap.value:+.1f} {bounds}"]
    assert page.text.count("tiny, rank 1") > 2


def test_a_comparison_shows_how_each_one_errs() -> None:
    comparison = compared()
    page = read_page(comparison_text())
    plots = [plot for plot in page.plots() if plot.startswith("Reliability")]
    assert len(plots) == len(comparison.contenders)
    for one, plot in zip(comparison.contenders, plots, strict=True):
        assert f"({max(each.rows for each in one.bins):,})" in plot
        for error in one.runs[0].worst:
            assert f"test row {error.row} {error.text}" in page.text
    assert "each row counts once a seed" in page.text


def test_one_seed_has_no_range_and_its_own_test() -> None:
    comparison = compared()
    alone = [replace(one, runs=one.runs[:1]) for one in comparison.contenders]
    page = read_page(comparison_page(replace(comparison, contenders=tuple(alone)), {}))
    headings = page.tables["The same rows, by each"].lines[0]
    assert headings == ["", "untuned [95 %]", "accuracy [95 %]"]
    assert "once a seed" not in page.text
    assert "p: exact McNemar" in page.text
    assert "p: the exact randomisation test" in read_page(comparison_text()).text


@pytest.mark.parametrize("width", [80, 100])
def test_the_tables_of_a_comparison_fit(width: int) -> None:
    """A name may be long: it is folded, and no figure is lost."""
    shown = io.StringIO()
    comparison = compared(("smollm2, every projection of it", "distilgpt2, --targets all --rank 1"))
    Console(file=shown, width=width).print(comparison_tables(comparison))
    assert max(map(len, shown.getvalue().splitlines())) <= width
    assert "…" not in shown.getvalue()
    for one in comparison.contenders:
        low, high = one.accuracy_interval
        value = mean(run.tuned.accuracy for run in one.runs)
        assert f"{percent(value)} % [{percent(low)}, {percent(high)}]" in shown.getvalue()


def test_the_figures_of_domains() -> None:
    cells, _ = transferred()
    page = read_page(domains_text())
    accuracy = page.tables["Accuracy, %"]
    change = page.tables["Points more or less than the domain's own model, with the 95 % interval"]
    columns = accuracy.lines[0][1:]
    assert columns == ["films", "shops"]
    for cell in cells:
        place = columns.index(cell.domain)
        assert accuracy.line(cell.model)[place] == percent(cell.metrics.accuracy)
        gap = cell.against
        assert change.line(cell.model)[place] == (
            f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
            if gap
            else "own"
        )
        errors = (cell.raw_calibration_error, cell.metrics.calibration_error or 0.0)
        named = f"{cell.model} on {cell.domain} {errors[0]:.3f}, then {errors[1]:.3f}"
        assert any(named in plot for plot in page.plots())
        if cell.model == cell.domain:
            assert accuracy.line("untuned base")[place] == percent(cell.untuned.accuracy)
    assert "mixture on films: without 1 row that it was trained or validated on." in page.text


def test_the_label_sets_of_domains() -> None:
    cells, _ = transferred()
    lines = read_page(domains_text()).tables["Label sets of 90 % coverage"].lines
    measured = [cell for cell in cells if cell.label_sets]
    assert {cell.model for cell in measured} == {"films", "shops"}
    for cell in measured:
        assert cell.label_sets is not None
        low, high = cell.label_sets.coverage_interval
        held = f"{percent(cell.label_sets.coverage)} % [{percent(low)}, {percent(high)}]"
        assert [cell.model, held, f"{cell.label_sets.mean_size:.2f}"] in lines


def test_domains_without_label_sets() -> None:
    cells, notes = transferred()
    text = domains_page([replace(cell, label_sets=None) for cell in cells], notes)
    assert not any(label.startswith("Label sets") for label in read_page(text).tables)


@pytest.mark.parametrize(
    "name",
    [HOSTILE, "\ud800 lone", "\x00\x1b[1m", "好 👍 ‏عربي", "a" * 300, "<!--", "]]>", "{{ x }}"],
)
def test_a_users_names_are_shown_and_never_obeyed(name: str) -> None:
    texts = [
        evaluation_text(*evaluated((name, "other"), name, name), run=name, base=name),
        comparison_text(name, "other"),
        domains_text(name, "other"),
    ]
    for text in texts:
        page = read_page(text)
        text.encode()
        shown = " ".join(printable(name).split())
        assert shown in page.text


def test_a_heading_is_said_of_columns_and_lines(tmp_path: Path) -> None:
    page: Page = read_page(domains_text())
    scopes = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert set(scopes) == {"col", "row", "rowgroup"}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert lacking() is None
    check_report(tmp_path / "report.html")
    with pytest.raises(UserError, match="is a folder"):
        check_report(tmp_path)
    with pytest.raises(UserError, match="no folder"):
        check_report(tmp_path / "gone" / "report.html")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"needs matplotlib.*'sentilora\[report\]'"):
        check_report(tmp_path / "report.html")
