"""The sample grid and the loss plot, looked at pixel by pixel, and looking leaves no trace in the training."""

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.config import load_config
from cyclegan.distributed import World
from cyclegan.inputs import open_inputs
from cyclegan.models import CycleGan, Pix2Pix
from cyclegan.pictures import CAPTION_PX, GAP_PX, curve, plot_losses, sample_grid
from cyclegan.show import undisturbed, write_samples
from cyclegan.step import TrainStep
from tests.cyclegan.conftest import SMALL

CPU = torch.device("cpu")
PIX2PIX = ["translator=pix2pix", "optimiser.pool_size=0", "objective.gan=vanilla", "networks.norm=batch"]


def plain(colour: tuple[int, int, int], px: int = 128) -> np.ndarray:
    return np.full((px, px, 3), colour, dtype=np.uint8)


def cell(grid: np.ndarray, row: int, column: int, px: int) -> np.ndarray:
    top, left = CAPTION_PX + row * (px + GAP_PX), GAP_PX + column * (px + GAP_PX)
    return grid[top : top + px, left : left + px]


# --- the grid


def test_columns_and_rows_stand_where_their_captions_say():
    reds, blues = [plain((255, 0, 0)), plain((100, 0, 0))], [plain((0, 0, 255)), plain((0, 0, 100))]
    grid = sample_grid({"real A": reds, "fake B": blues})
    assert grid.dtype == np.uint8
    assert grid.shape == (CAPTION_PX + 2 * (128 + GAP_PX), GAP_PX + 2 * (128 + GAP_PX), 3)
    for row in range(2):
        assert np.array_equal(cell(grid, row, 0, 128), reds[row])
        assert np.array_equal(cell(grid, row, 1, 128), blues[row])
    captions = grid[:CAPTION_PX].min(axis=2) < 128
    assert captions[:, : GAP_PX + 128].any()
    assert captions[:, 2 * GAP_PX + 128 :].any()


@pytest.mark.parametrize(("px", "times"), [(32, 4), (64, 2), (100, 1), (128, 1), (256, 1)])
def test_small_pictures_are_shown_larger_by_whole_pixels(px, times):
    picture = np.random.default_rng(0).integers(0, 256, (px, px, 3), dtype=np.uint8)
    shown = cell(sample_grid({"x": [picture]}), 0, 0, px * times)
    assert np.array_equal(shown[::times, ::times], picture)
    assert np.array_equal(shown, np.kron(picture, np.ones((times, times, 1), dtype=np.uint8)))


def test_the_papers_order_of_columns():
    order = ["real A", "fake B", "cycle A", "real B", "fake A", "cycle B"]
    assert [panel.caption for panel in CycleGan.panels] == order
    config = load_config("small", [*SMALL, *PIX2PIX, "direction=BtoA"])
    assert [panel.caption for panel in Pix2Pix(config).panels] == ["input B", "fake A", "real A"]


def test_each_panel_is_what_its_caption_says(small, tmp_path):
    config = small("networks.init_std=0.5")
    step, inputs = TrainStep(config, CPU), open_inputs(config, World())
    grid = write_samples(step, inputs, tmp_path / "samples", 7)
    gen_ab, gen_ba = (step.translator.networks[name].eval() for name in ("gen_ab", "gen_ba"))
    real_a, real_b = inputs.samples
    with torch.no_grad():
        expected = [real_a, gen_ab(real_a), gen_ba(gen_ab(real_a)), real_b, gen_ba(real_b), gen_ab(gen_ba(real_b))]
    for column, batch in enumerate(expected):
        for row in range(2):
            levels = np.rint((batch[row].numpy().transpose(1, 2, 0) + 1) * 127.5)
            assert np.abs(cell(grid, row, column, 128)[::4, ::4] - levels).max() <= 1
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["latest.png", "step-00000007.png"]
    for path in (tmp_path / "samples").iterdir():
        assert np.array_equal(np.asarray(Image.open(path)), grid)


# --- looking leaves no trace


@pytest.mark.parametrize("changes", [["networks.dropout=true", "networks.norm=batch"], PIX2PIX])
def test_looking_leaves_no_trace(small, tmp_path, changes):
    config = small("networks.dropout=true", *changes)
    step = TrainStep(config, CPU)
    if changes is PIX2PIX:
        images = [torch.zeros(2, 3, 32, 32)] * 2
        with undisturbed(step):
            step.translator.show(*images)
    before = {name: value.clone() for name, value in step.translator.networks.state_dict().items()}
    random = torch.get_rng_state()
    with undisturbed(step):
        made = step.translator.show(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))
        assert not made["fake_b"].requires_grad
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in step.translator.networks.state_dict().items())
    assert all(module.training for module in step.translator.networks.modules())


def test_looking_is_undone_when_it_fails(small):
    step = TrainStep(small("networks.norm=batch"), CPU)
    random = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), undisturbed(step):
        torch.rand(3).tolist()[0] / 0
    assert torch.equal(random, torch.get_rng_state())
    assert all(module.training for module in step.translator.networks.modules())


def test_a_cyclegan_is_shown_as_it_translates_without_dropout(small):
    step = TrainStep(small("networks.dropout=true", "networks.init_std=0.5"), CPU)
    picture = torch.rand(1, 3, 32, 32)
    with undisturbed(step):
        shown = step.translator.show(picture, picture)["fake_b"]
    network = step.translator.networks["gen_ab"]
    with torch.no_grad():
        assert not torch.equal(network(picture), shown)
        assert torch.equal(network.eval()(picture), shown)


# --- the plot


def test_the_plot_shows_every_term(tmp_path):
    rows = [{"step": s, "gan_ab": 1 / s, "cycle_a": 3 / s, "learning_rate": 1.0} for s in range(1, 30)]
    plot_losses(rows, ("gan_ab", "cycle_a"), tmp_path / "both.png")
    plot_losses(rows, ("cycle_a",), tmp_path / "one.png")
    both, one = (np.asarray(Image.open(tmp_path / name)) for name in ("both.png", "one.png"))
    assert both.shape[0] > one.shape[0] > 200
    assert len(np.unique(both.reshape(-1, both.shape[2]), axis=0)) > 20


def test_a_log_of_one_row_or_none_is_plotted_too(tmp_path):
    plot_losses([{"step": 5, "l1": 2.0}], ("l1",), tmp_path / "one.png")
    plot_losses([], ("l1",), tmp_path / "none.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
    assert (tmp_path / "none.png").stat().st_size > 1000


def test_a_curve_of_many_rows_is_averaged_in_neighbours():
    rows = [{"step": s, "l1": float(s)} for s in range(1, 8)]
    assert curve(rows, "l1", 1) == ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7])
    assert curve(rows, "l1", 3) == ([3, 6, 7], [2, 5, 7])
    assert curve([*rows, {"step": 8}], "l1", 3) == ([3, 6, 7], [2, 5, 7])
    assert curve(rows, "other", 3) == ([], [])
