"""Words and sources: what a comparison holds is explained, and nothing else."""

from dataclasses import replace

from cgeval.compare.report.explain import METRICS, PROTOCOLS, sources, terms
from cgeval.metrics import METRICS as SCORES
from tests.cgeval.compare.renderers.comparisons import plain, rich


def words(comparison):
    return [term.word for term in terms(comparison)]


def test_all_that_occurs_is_explained():
    assert words(rich()) == [
        "FCN score",
        "fcn-score-scorer-size",
        "label-score",
        "per-pixel accuracy",
        "per-class accuracy",
        "class IoU",
        "fooling rate",
        "reconstruction error",
        "the ceiling",
        "rows that should be bad",
        "best",
        "[low, high]",
        "p, Holm",
    ]


def test_what_does_not_occur_is_not_explained():
    assert words(plain()) == [
        "FCN score",
        "fcn-score-scorer-size",
        "per-pixel accuracy",
        "per-class accuracy",
        "class IoU",
        "best",
        "[low, high]",
        "p, Holm",
    ]
    assert words(replace(plain(), tables=())) == []


def test_every_metric_and_protocol_that_we_measure_has_words():
    assert set(SCORES) <= set(METRICS)
    assert set(PROTOCOLS) == {"fcn-score-paper", "fcn-score-scorer-size", "label-score"}


def test_sources_are_those_of_the_methods_and_of_what_is_cited_each_once():
    found = sources(rich(), terms(rich()))
    assert [source.arxiv for source in found[:4]] == ["1703.10593", "1611.07004", "1508.06576", "1411.4038"]
    assert len({source.key for source in found}) == len(found)
