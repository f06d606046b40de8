"""Loss curves of a trainer's log: thinned, told apart, and robust against what a kill leaves."""

import json
from dataclasses import replace

import pytest

from cgeval.compare.report.losses import POINTS, loss_curves
from tests.cgeval.compare.renderers.comparisons import plain


@pytest.fixture
def logged(tmp_path):
    """A comparison of two runs, and a function that gives one of them a log."""
    comparison = plain()
    subjects = [
        replace(each, run=replace(each.run, path=tmp_path / str(i))) for i, each in enumerate(comparison.subjects)
    ]
    for subject in subjects:
        subject.run.path.mkdir()

    def write(i, rows, end=""):
        text = "".join(json.dumps(row) + "\n" for row in rows) + end
        (subjects[i].run.path / "log.jsonl").write_text(text)

    return replace(comparison, subjects=tuple(subjects)), write


def rows(n=5, **losses):
    losses = losses or {"gan_ab": 0.5, "gan_ba": 0.4, "cycle_a": 3.0, "cycle_b": 2.0, "disc_a": 0.2, "disc_b": 0.1}
    return [{"step": i + 1, "epoch": 1, **losses, "learning_rate": 2e-4, "images_per_s": 5.0} for i in range(n)]


def test_runs_without_a_log_have_no_curves(logged):
    assert loss_curves(logged[0]) == []


def test_related_losses_share_a_panel_and_settings_are_no_losses(logged):
    comparison, write = logged
    write(0, rows())
    (run,) = loss_curves(comparison)
    assert run.label == "CycleGAN"
    assert [[curve.key for curve in panel.curves] for panel in run.panels] == [
        ["gan_ab", "gan_ba"],
        ["cycle_a", "cycle_b"],
        ["disc_b", "disc_a"],
    ]


def test_curves_are_named_by_the_domains_and_what_gen_ab_has_to_do_with_comes_first(logged):
    comparison, write = logged
    write(0, rows())
    named = {
        curve.key: (curve.owner, curve.series) for panel in loss_curves(comparison)[0].panels for curve in panel.curves
    }
    assert named == {
        "gan_ab": ("labels → photos", 1),
        "gan_ba": ("photos → labels", 2),
        "cycle_a": ("labels → photos → labels", 1),
        "cycle_b": ("photos → labels → photos", 2),
        "disc_b": ("judges photos", 1),
        "disc_a": ("judges labels", 2),
    }


def test_a_loss_of_another_trainer_has_a_panel_of_its_own(logged):
    comparison, write = logged
    write(0, rows(perceptual=1.0))
    (panel,) = loss_curves(comparison)[0].panels
    assert (panel.title, panel.curves[0].key, panel.curves[0].owner) == ("perceptual", "perceptual", "")


def test_a_long_log_is_thinned_to_means(logged):
    comparison, write = logged
    write(0, [row | {"gan_ab": float(i % 2)} for i, row in enumerate(rows(2000, gan_ab=0.0))])
    (run,) = loss_curves(comparison)
    (curve,) = run.panels[0].curves
    points = curve.path.removeprefix("M").split()
    assert len(points) // 2 <= POINTS
    assert run.rows == 2000
    assert run.per_point == pytest.approx(2000 / (len(points) // 2))
    assert "gan_ab from 0.444 to 0.5" in run.panels[0].text  # means of nine and of two


def test_a_very_long_log_is_not_read_row_by_row(logged):
    comparison, write = logged
    write(0, rows(30_000, gan_ab=1.0))
    (run,) = loss_curves(comparison)
    assert run.rows == 30_000
    assert run.steps[-1].text == "30,000"


def test_what_a_kill_left_and_what_is_no_number_are_passed_over(logged):
    comparison, write = logged
    broken = [{"step": 6, "gan_ab": float("nan")}, {"step": 7, "gan_ab": None}, {"step": "x", "gan_ab": 1.0}, [1]]
    write(0, [*rows(3, gan_ab=1.0), *broken], end='{"step": 8, "gan_')
    (curve,) = loss_curves(comparison)[0].panels[0].curves
    assert len(curve.path.removeprefix("M").split()) == 6


def test_a_panel_has_the_same_scale_for_all_runs(logged):
    comparison, write = logged
    write(0, rows(2, gan_ab=1.0))
    write(1, rows(2, gan_ab=2.0))
    one, other = loss_curves(comparison)
    assert one.panels[0].ticks == other.panels[0].ticks
    assert one.panels[0].curves[0].path != other.panels[0].curves[0].path


def test_styles_of_one_run_show_its_log_once(logged):
    comparison, write = logged
    write(0, rows())
    twice = replace(comparison, subjects=(comparison.subjects[0], replace(comparison.subjects[0], label="again")))
    assert [run.label for run in loss_curves(twice)] == ["CycleGAN"]


def test_two_runs_for_two_directions_share_their_panels(logged):
    comparison, write = logged
    write(0, rows(3, disc_b=0.5, gan_ab=1.0, l1=30.0))
    write(1, rows(6, disc_a=0.4, gan_ba=2.0, l1=20.0))
    there, back = comparison.subjects
    sets = dict.fromkeys(("AtoB", "BtoA"), next(iter(there.sets.values())))
    whole = replace(there, sets=sets, elsewhere={"BtoA": back.run}, label="pix2pix")
    (run,) = loss_curves(replace(comparison, subjects=(whole,)))
    assert (run.label, run.rows, run.steps[-1].value) == ("pix2pix", 6, 6)
    drawn = {panel.title: [(curve.key, curve.owner, curve.series) for curve in panel.curves] for panel in run.panels}
    assert drawn == {
        "generators, adversarial": [("gan_ab", "labels → photos", 1), ("gan_ba", "photos → labels", 2)],
        "L1 distance to the truth": [("l1", "labels → photos", 1), ("l1", "photos → labels", 2)],
        "discriminators": [("disc_b", "judges photos", 1), ("disc_a", "judges labels", 2)],
    }
    assert run.panels[1].text == "l1 (labels → photos) from 30 to 30; l1 (photos → labels) from 20 to 20"


def test_one_row_is_enough(logged):
    comparison, write = logged
    write(0, rows(1))
    assert len(loss_curves(comparison)[0].panels) == 3
