"""The device, and several processes that share the images: the number is the same whoever counts."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cgeval.errors import WeightsError
from cgeval.files import cache_folder
from cgeval.labelled import open_labelled
from cgeval.networks.fcn8s import FCN8s
from cgeval.protocols.pictures_in import Item, Noise
from cgeval.protocols.planning import Ruler
from cgeval.protocols.sharding import SHARE, Machine, Networks, measure_by_network, own_device
from cgeval.scorers.store import write_scorer
from tests.cgeval.protocols.streets import LABELS, SIZE, write_dataset, write_header

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ruler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ruler:
    """A narrow FCN-8s of random weights, whose answers differ from picture to picture."""
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = FCN8s(outputs=11, width=1)
    for parameter in network.parameters():
        parameter.data.normal_(std=1.0)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    info = write_header(tmp_path / "header").info
    facts = {"kind": "fcn8s", "arguments": {"width": 1}, "parameters": parameters, "name": "narrow"}
    file = write_scorer(tmp_path / "scorers" / "narrow", network.state_dict(), replace(info, **facts))
    return Ruler(file, "paper", LABELS)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    truth = open_labelled(write_dataset(tmp_path / "data", n=SHARE + 2)).split("test").truth
    return [Item(name, Noise(name, SIZE), path) for name, path in truth.items()]


@pytest.mark.slow
def test_two_processes_count_what_one_counts(ruler, items, monkeypatch, tmp_path):
    ticks: list[int] = []
    shared = measure_by_network(Networks(Machine("cpu", 4, processes=2)), ruler, items, ticks.append)
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "another"))
    alone = measure_by_network(Networks(Machine("cpu", 4)), ruler, items, lambda _count: None)
    assert shared.ids == alone.ids == tuple(item.id for item in items)
    assert np.array_equal(shared.matrices, alone.matrices)
    assert (shared.predicted, alone.predicted, sum(ticks)) == (len(items), len(items), len(items))
    again = measure_by_network(Networks(Machine("cpu", 4, processes=2)), ruler, items[:3], lambda _count: None)
    assert again.predicted == 0


def test_predictions_are_kept_below_the_scorers_name(ruler, items):
    measure_by_network(Networks(Machine("cpu")), ruler, items[:2], lambda _count: None)
    (folder,) = (cache_folder() / "predictions").iterdir()
    assert folder.name == f"narrow-{ruler.scorer.sha256[:12]}"
    assert len(list(folder.rglob("*.png"))) == 2


def test_a_scorer_is_loaded_once_for_several_sets(ruler, items):
    networks = Networks(Machine("cpu"))
    assert networks.forward(ruler) is networks.forward(ruler)
    assert networks.forward(ruler) is not networks.forward(Ruler(ruler.scorer, "scorer-size", LABELS))


def test_processes_take_cuda_devices_in_turn_unless_one_was_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = [own_device(torch.device("cuda"), number) for number in range(3)]
    assert found == [torch.device("cuda", i) for i in (0, 1, 0)]
    assert own_device(torch.device("cuda", 1), 0) == torch.device("cuda", 1)
    assert own_device(torch.device("cpu"), 3) == torch.device("cpu")


@pytest.mark.slow
def test_a_scorer_that_no_process_can_load_is_one_sentence(ruler, items):
    ruler.scorer.path.write_bytes(ruler.scorer.path.read_bytes()[:-4])
    with pytest.raises(WeightsError):
        measure_by_network(Networks(Machine("cpu", processes=2)), ruler, items, lambda _count: None)


SCORE = """
import sys
from pathlib import Path
from cgeval.labelled import open_labelled
from cgeval.labels import label_set
from cgeval.protocols.pictures_in import Item, Noise
from cgeval.protocols.planning import Ruler
from cgeval.protocols.sharding import Machine, Networks, measure_by_network
from cgeval.scorers.store import open_scorer

if __name__ == "__main__":
    truth = open_labelled(Path(sys.argv[1])).split("test").truth
    items = [Item(name, Noise(name, (12, 8)), path) for name, path in truth.items()] * 200
    ruler = Ruler(open_scorer(sys.argv[2]), "paper", label_set("camvid11"))
    measure_by_network(Networks(Machine("cpu", processes=2)), ruler, items, lambda _count: print("going", flush=True))
"""


@pytest.mark.slow
def test_processes_end_with_the_one_that_was_killed(ruler, items, tmp_path):
    script = tmp_path / "score.py"
    script.write_text(SCORE)
    words = [sys.executable, str(script), str(tmp_path / "data"), str(ruler.scorer.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        assert program.stdout.readline() == "going\n"
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        assert len(children) >= 2
        program.kill()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "processes were left"
        time.sleep(0.1)
