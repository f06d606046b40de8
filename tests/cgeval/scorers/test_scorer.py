"""A scorer gives the same logits for the same photo, whatever goes on around it; a file that does not fit is told."""

from dataclasses import replace

import pytest

from cgeval.errors import DownloadError, OutputError, WeightsError
from cgeval.labels import KNOWN, Label, LabelSet

torch = pytest.importorskip("torch")
smp = pytest.importorskip("segmentation_models_pytorch")

from cgeval.networks.pretrained import Pretrained  # noqa: E402
from cgeval.networks.segmenters import Preprocessing, build_network  # noqa: E402
from cgeval.scorers import scorer as module  # noqa: E402
from cgeval.scorers.scorer import Scorer, class_map, fetch_scorer, load_scorer  # noqa: E402
from cgeval.scorers.store import ScorerFile, ScorerInfo, open_scorer, write_scorer  # noqa: E402
from tests.cgeval.scorers import by_hand  # noqa: E402

CPU = torch.device("cpu")
LABELS = LabelSet("two", (Label(0, "road", (1, 1, 1), False, 0), Label(1, "sky", (2, 2, 2), False, 1)))
INFO = ScorerInfo(
    name="tiny",
    kind="smp",
    arguments={"architecture": "pspnet", "encoder": "tu-test_resnet", "encoder_weights": "imagenet"},
    labels=LABELS,
    outputs=3,
    size_px=(64, 32),
    protocol="scorer-size",
    mean=(10.0, 20.0, 30.0),
    std=(2.0, 4.0, 8.0),
    channels="RGB",
    stride=8,
    trained_on={},
    validation={},
    source={},
    parameters=1,
    producer="a test",
    created_at="2024-11-25T00:00:00Z",
)


def write(folder, change=lambda state: None, **changes):
    info = replace(INFO, **changes)
    torch.manual_seed(0)
    network = build_network(info.kind, {**info.arguments, "encoder_weights": None}, 3)
    for layer in network.modules():  # so that evaluation and training differ
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.running_mean, std=0.1)
    state = network.state_dict()
    change(state)
    count = sum(parameter.numel() for parameter in network.parameters())
    return write_scorer(folder, state, replace(info, parameters=changes.get("parameters", count)))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scorers") / "tiny")


@pytest.fixture(scope="module")
def scorer(file):
    return load_scorer(file, CPU)


def photos(n=2, height=40, width=72, seed=0):
    numbers = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=numbers)


class Recorder(torch.nn.Module):
    """A network that keeps what it saw, and under which settings."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        self.seen = images.clone()
        self.autocast = torch.is_autocast_enabled(images.device.type)
        self.tf32 = torch.backends.cudnn.allow_tf32
        self.deterministic = torch.backends.cudnn.deterministic
        self.gradients = torch.is_grad_enabled()
        return images * self.weight


def recording(**changes):
    return Scorer(ScorerFile(None, replace(INFO, **changes)), Recorder())


# Logits


@pytest.mark.parametrize(("height", "width"), [(32, 64), (40, 72), (33, 65), (1, 1), (31, 9)])
def test_logits_have_the_photos_size_whatever_it_is(scorer, height, width):
    logits = scorer.logits(photos(2, height, width))
    assert logits.shape == (2, 3, height, width)
    assert logits.dtype == torch.float32


def test_logits_are_the_networks_own_for_a_photo_that_needs_no_padding(file, scorer):
    from safetensors.torch import load_file

    network = build_network("smp", {**INFO.arguments, "encoder_weights": None}, 3).eval()
    network.load_state_dict(load_file(file.path))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (INFO.mean, INFO.std))
    with torch.no_grad():
        wanted = network((photos().float() - mean) / std)
    assert torch.allclose(scorer.logits(photos()), wanted, atol=1e-5)


def test_the_network_sees_rgb_less_mean_by_std():
    scorer, images = recording(), photos(1)
    scorer.logits(images)
    for channel in range(3):
        wanted = (images[0, channel].float() - INFO.mean[channel]) / INFO.std[channel]
        assert torch.equal(scorer.network.seen[0, channel], wanted)


def test_a_bgr_network_sees_blue_first_with_mean_and_std_in_its_own_order():
    scorer, images = recording(channels="BGR"), photos(1)
    scorer.logits(images)
    for channel in range(3):
        wanted = (images[0, 2 - channel].float() - INFO.mean[channel]) / INFO.std[channel]
        assert torch.equal(scorer.network.seen[0, channel], wanted)


def test_sides_are_padded_by_repeating_the_border_on_the_right_and_below():
    scorer, images = recording(mean=(0.0,) * 3, std=(1.0,) * 3), photos(1, 14, 9)
    logits = scorer.logits(images)
    seen = scorer.network.seen
    assert seen.shape == (1, 3, 16, 16)
    assert torch.equal(seen[..., :14, 9:], seen[..., :14, 8:9].expand(-1, -1, -1, 7))
    assert torch.equal(seen[..., 14:, :], seen[..., 13:14, :].expand(-1, -1, 2, -1))
    assert torch.equal(logits, images.float())


def test_precision_is_fixed_whatever_the_caller_has_set():
    scorer = recording()
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = scorer.logits(photos())
    assert logits.dtype == torch.float32
    network = scorer.network
    assert (network.autocast, network.tf32, network.deterministic, network.gradients) == (False, False, True, False)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before


def test_autocast_around_it_does_not_move_the_logits(scorer):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = scorer.logits(photos())
    assert torch.equal(within, scorer.logits(photos()))


def test_logits_are_the_same_bit_for_bit_another_time_and_from_another_load(file, scorer):
    first = scorer.logits(photos())
    assert torch.equal(first, scorer.logits(photos()))
    assert torch.equal(first, load_scorer(file, CPU).logits(photos()))


def test_a_photos_logits_do_not_depend_on_the_others_in_the_batch(scorer):
    together = scorer.logits(photos(3))
    for i in range(3):
        assert torch.allclose(scorer.logits(photos(3)[i : i + 1])[0], together[i], atol=1e-5)


@pytest.mark.parametrize("images", [torch.zeros(1, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_another_kind_of_tensor_is_refused(scorer, images):
    with pytest.raises(ValueError, match=r"uint8 \[n, 3, h, w\] is expected"):
        scorer.logits(images)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_cpus_logits(file, scorer):
    on_gpu = load_scorer(file, torch.device("cuda")).logits(photos())
    assert on_gpu.is_cuda
    assert torch.allclose(on_gpu.cpu(), scorer.logits(photos()), atol=1e-4)


# Class maps


@pytest.mark.parametrize("size", [(24, 16), (50, 31), (13, 40), (7, 5)])
def test_a_class_map_is_that_of_the_enlarged_logits(size):
    photo = photos(1, 16, 24)[0].permute(1, 2, 0).numpy()
    logits = by_hand.logits_of(photo)
    found = class_map(torch.from_numpy(logits).float(), size, by_hand.CLASSES)
    assert found.dtype == "uint8"
    assert found.tolist() == by_hand.classes_of(logits, *size).tolist()


def test_outputs_beyond_the_classes_are_void():
    logits = torch.eye(5)[:, None, :]
    assert class_map(logits, (5, 1), 3).tolist() == [[0, 1, 2, 3, 3]]


# Loading


def test_a_loaded_network_is_frozen_and_in_evaluation_mode(scorer):
    assert not any(module.training for module in scorer.network.modules())
    assert not any(parameter.requires_grad for parameter in scorer.network.parameters())
    assert not scorer.logits(photos()).requires_grad


def test_loading_leaves_the_random_numbers_as_they_were(file):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    load_scorer(file, CPU)
    assert torch.equal(torch.rand(3), wanted)


def test_weights_that_the_encoder_began_with_are_not_fetched_again(file, monkeypatch):
    from cgeval.networks import segmenters

    monkeypatch.setattr(segmenters, "hub_file", None)
    assert load_scorer(file, CPU).info.arguments["encoder_weights"] == "imagenet"


def test_the_papers_network_is_loaded_too(tmp_path):
    file = write(tmp_path, kind="fcn8s", arguments={"width": 2}, stride=1, channels="BGR")
    assert load_scorer(file, CPU).logits(photos()).shape == (2, 3, 40, 72)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.popitem(), "1 missing, 0 foreign"),
        (lambda state: state.update(extra=torch.zeros(1)), "0 missing, 1 foreign ('extra' is not the network's)"),
        (
            lambda state: state["segmentation_head.0.bias"].fill_(float("nan")),
            "holds numbers that are infinite or none",
        ),
        (lambda state: state.update({"segmentation_head.0.bias": torch.zeros(4)}), "is [4], and [3] is expected"),
    ],
)
def test_tensors_that_are_not_the_networks_are_refused_in_one_sentence(tmp_path, change, words):
    file = write(tmp_path, change)
    with pytest.raises(WeightsError) as caught:
        load_scorer(file, CPU)
    sentence = str(caught.value)
    assert words in sentence
    assert str(file.path) in sentence
    assert "\n" not in sentence


def test_a_network_of_another_size_than_the_file_says_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"says that its network has 7 parameters, and smp has \d+"):
        load_scorer(write(tmp_path, parameters=7), CPU)


def test_a_network_that_this_machine_cannot_build_is_said(tmp_path):
    unknown = replace(INFO, arguments={"architecture": "unet7", "encoder": "resnet18"})
    file = write_scorer(tmp_path, {"one": torch.zeros(1)}, unknown)
    with pytest.raises(
        WeightsError, match=r"cannot be built here: there is no architecture 'unet7': did you mean unet"
    ):
        load_scorer(file, CPU)


def other_weights(state):
    state["segmentation_head.0.bias"] += 1


CHANGED = r"scorer\.safetensors was changed while it was in use: begin again, or restore the file first\.$"


def test_a_file_that_was_replaced_after_its_digest_was_taken_is_not_loaded(tmp_path):
    file = write(tmp_path / "a")
    assert file.sha256
    other = write(tmp_path / "b", other_weights)
    assert other.info == file.info
    other.path.replace(file.path)
    with pytest.raises(WeightsError, match=CHANGED):
        load_scorer(file, CPU)
    load_scorer(open_scorer(tmp_path / "a"), CPU)


@pytest.mark.parametrize("changes", [{"created_at": "2024-11-26T00:00:00Z"}, {"kind": "fcn8s", "arguments": {}}])
def test_a_file_that_was_replaced_after_its_header_was_read_is_not_loaded(tmp_path, changes):
    file = write(tmp_path / "a")
    state = {"one": torch.zeros(1)}
    write_scorer(tmp_path / "b", state, replace(file.info, **changes)).path.replace(file.path)
    with pytest.raises(WeightsError, match=CHANGED):
        load_scorer(file, CPU)


@pytest.mark.parametrize("late", [False, True])
def test_a_file_that_is_replaced_while_it_is_read_is_not_believed(tmp_path, monkeypatch, late):
    file, other, read = write(tmp_path / "a"), write(tmp_path / "b", other_weights), module.read_state

    def replaced(path):
        state = read(path) if late else None
        other.path.replace(path)
        return read(path) if state is None else state

    monkeypatch.setattr(module, "read_state", replaced)
    with pytest.raises(WeightsError, match=CHANGED):
        load_scorer(file, CPU)


def test_a_file_that_goes_away_while_it_is_read_is_one_sentence(tmp_path, monkeypatch):
    file, read = write(tmp_path), module.read_state
    monkeypatch.setattr(module, "read_state", lambda path: (read(path), path.unlink())[0])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_scorer(file, CPU)


# Scorers of networks that were trained elsewhere


NAME = "smp-hub/segformer-b0-512x1024-city-160k"


def test_a_trained_network_becomes_a_scorer_with_what_it_wants_to_see(tmp_path, monkeypatch):
    arguments = {"architecture": "pspnet", "encoder": "tu-test_resnet"}
    network = build_network("smp", arguments, 4)
    seen = Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR", 16)
    source = {"file": "model.safetensors", "sha256": "00"}
    trained = Pretrained("smp", arguments, network, 4, (96, 48), seen, {"name": "streets"}, source)
    asked = []
    monkeypatch.setattr(module, "pretrained", lambda *wanted: asked.append(wanted) or trained)
    info = fetch_scorer(NAME, tmp_path / "fetched", LABELS, tmp_path / "copy").info
    assert asked == [(NAME, LABELS, tmp_path / "copy")]
    assert (info.name, info.kind, info.arguments, info.labels) == ("fetched", "smp", arguments, LABELS)
    assert (info.outputs, info.size_px, info.protocol) == (4, (96, 48), "scorer-size")
    assert (info.mean, info.std, info.channels, info.stride) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR", 16)
    assert (info.trained_on, info.validation, info.source) == ({"name": "streets"}, {}, source)
    loaded = load_scorer(open_scorer(tmp_path / "fetched"), CPU).network.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.slow
def test_a_segformer_becomes_a_scorer_that_gives_its_logits(tmp_path):
    network = smp.Segformer("mit_b0", encoder_weights=None, decoder_segmentation_channels=256, classes=19)
    network.save_pretrained(tmp_path / "hub")
    made = fetch_scorer(NAME, tmp_path / "segformer", KNOWN["cityscapes"], tmp_path / "hub")
    assert (made.info.kind, made.info.size_px, made.info.stride) == ("smp-hub", (1024, 512), 32)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (made.info.mean, made.info.std))
    with torch.no_grad():
        wanted = network.eval()((photos(1, 32, 64).float() - mean) / std)
    assert torch.allclose(load_scorer(made, CPU).logits(photos(1, 32, 64)), wanted, atol=1e-4)


def test_a_folder_that_has_a_scorer_is_refused_before_anything_is_fetched(file, monkeypatch):
    monkeypatch.setattr(module, "pretrained", None)
    with pytest.raises(OutputError, match="is a scorer already"):
        fetch_scorer(NAME, file.path.parent, KNOWN["cityscapes"])


def test_without_a_network_no_folder_is_left_behind(tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9 did not answer .* give it with --file"):
        fetch_scorer(NAME, tmp_path / "new", KNOWN["cityscapes"])
    assert not (tmp_path / "new").exists()


def test_weights_that_were_damaged_and_are_still_numbers_are_refused(tmp_path):
    path = write(tmp_path).path
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged: its tensors are not those that were written"):
        load_scorer(open_scorer(path), CPU)
