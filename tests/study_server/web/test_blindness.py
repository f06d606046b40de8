"""All that a participant's browser receives, but for the pixels, tells nothing about which image is real."""

import numpy as np
import pytest

from study_server.manifest import read_manifest
from study_server.rehearsal.rehearse import serving
from tests.study_server.small_study import small_study
from tests.study_server.web.visitor import Visitor

SESSIONS = 24
TRIALS = {"practice": 4, "scored": 16}


@pytest.fixture(scope="module")
def harvest(tmp_path_factory):
    """What every trial of many sessions looks like from outside, with the truth: features [n, k], truths [n]."""
    folder = small_study(
        tmp_path_factory.mktemp("blind"),
        arms=("one",),
        pairs=24,
        trials=TRIALS,
        participants={"per_algorithm": SESSIONS},
        exposure={"size_px": 32},
    )
    manifest = read_manifest(folder)
    sides = {manifest.stimuli[pair.stimulus(side)]: side for pair in manifest.pairs for side in ("left", "right")}
    rows, truths, visitors = [], [], []
    with serving(folder, "--workers", "1") as address:
        for number in range(SESSIONS):
            visitor = Visitor(*address, name=f"v{number}").come()
            visitors.append(visitor)
            _look(visitor, sides, rows, truths)
    return np.array(rows, float), np.array(truths), visitors, manifest


def _look(visitor, sides, rows, truths):
    import hashlib
    import time

    composites = {what[4:]: heard for what, heard in visitor.heard if what.startswith("GET /api/stimuli/")}
    order = visitor.view["preload"]
    while visitor.view["trial"]:
        trial = visitor.view["trial"]
        path = trial["stimulus"]
        heard = composites[path]
        truth = sides[hashlib.sha256(heard.body).hexdigest()]
        begun = time.perf_counter()
        reply = visitor.trial("left")
        took = time.perf_counter() - begun
        if trial["phase"] == "scored":
            name = path.rsplit("/", 1)[1]
            letters = [ord(letter) for letter in name[:8]]
            address = [len(path), sum(map(ord, name)), *letters]
            sizes = [len(heard.body), len(str(heard.headers)), len(reply.body), int(heard.headers["content-length"])]
            places = [trial["position"], order.index(path), trial["number"] % 2]
            rows.append([*address, *sizes, *places, took])
            truths.append(truth == "left")


def test_a_classifier_of_everything_but_the_pixels_does_no_better_than_chance(harvest):
    """Ridge regression, five folds; within three standard errors of a coin."""
    features, truths, _, _ = harvest
    features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    features = np.hstack([features, np.ones((len(features), 1))])
    folds, right = np.arange(len(truths)) % 5, 0
    for fold in range(5):
        known = folds != fold
        x, y = features[known], np.where(truths[known], 1.0, -1.0)
        weights = np.linalg.solve(x.T @ x + 10.0 * np.eye(x.shape[1]), x.T @ y)
        right += int(((features[~known] @ weights > 0) == truths[~known]).sum())
    error = 0.5 / np.sqrt(len(truths))
    assert abs(right / len(truths) - 0.5) < 3 * error


def test_the_classifier_would_find_a_tell(harvest):
    """The same with the truth among the features: the test above can fail."""
    features, truths, _, _ = harvest
    leaking = np.hstack([features, (truths + np.random.default_rng(0).normal(0, 0.5, len(truths)))[:, None]])
    leaking = (leaking - leaking.mean(axis=0)) / np.maximum(leaking.std(axis=0), 1e-9)
    y = np.where(truths, 1.0, -1.0)
    weights = np.linalg.solve(leaking.T @ leaking + 10.0 * np.eye(leaking.shape[1]), leaking.T @ y)
    assert ((leaking @ weights > 0) == truths).mean() > 0.75


def test_nothing_that_is_received_names_an_image_an_arm_or_a_side(harvest):
    """Of a scored trial; the truth of a practice trial comes in the reply to its answer alone."""
    _, _, visitors, manifest = harvest
    names = {pair.left for pair in manifest.pairs} | {pair.right for pair in manifest.pairs}
    for visitor in visitors:
        for what, heard in visitor.heard:
            text = heard.body.decode("latin-1") + str(heard.headers)
            if "image/png" in heard.headers["content-type"]:
                assert b"tEXt" not in heard.body
                assert b"iTXt" not in heard.body
                assert b"tIME" not in heard.body
                continue
            assert "real_side" not in text or "answer" in what
            assert '"one"' not in text
            assert not any(name in text for name in names)
            assert manifest.study_id not in text


def test_scored_answers_are_not_told_whether_they_are_right(harvest):
    _, _, visitors, _ = harvest
    told = [heard.json["feedback"] for what, heard in visitors[0].heard if what.endswith("/answer")]
    assert [feedback is None for feedback in told] == [False] * 4 + [True] * 16


def test_headers_are_alike_for_all_stimuli(harvest):
    _, _, visitors, _ = harvest
    stimuli = [heard for visitor in visitors for what, heard in visitor.heard if what.startswith("GET /api/stimuli/")]
    kinds = {tuple(sorted((k, v) for k, v in heard.headers.items() if k != "content-length")) for heard in stimuli}
    assert len(kinds) == 1


def test_addresses_of_two_sessions_share_nothing(harvest):
    _, _, visitors, _ = harvest
    seen = [path for visitor in visitors for path in {what for what, _ in visitor.heard if "stimuli" in what}]
    assert len(seen) == len(set(seen))


def test_the_order_of_preloading_is_not_the_order_of_trials(harvest):
    _, _, visitors, _ = harvest
    orders = []
    for visitor in visitors:
        view = next(heard.json for what, heard in visitor.heard if what == "POST /api/ready")
        first = view["trial"]["stimulus"]
        orders.append(view["preload"].index(first))
    assert len(set(orders)) > SESSIONS // 4
