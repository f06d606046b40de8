"""A network that was trained elsewhere is brought into a label set's order, or refused for the classes it lacks."""

import pytest

from cgeval.errors import ConfigError, DownloadError, WeightsError
from cgeval.labels import KNOWN, Label, LabelSet

torch = pytest.importorskip("torch")
smp = pytest.importorskip("segmentation_models_pytorch")
torchvision = pytest.importorskip("torchvision")

from safetensors.torch import save_file  # noqa: E402

from cgeval.networks import pretrained as module  # noqa: E402
from cgeval.networks.pretrained import pretrained  # noqa: E402
from cgeval.networks.segmenters import build_network  # noqa: E402

CITYSCAPES = KNOWN["cityscapes"]
SMALL = "segformer-b0-512x1024-city-160k"
LRASPP = "lraspp_mobilenet_v3_large"


def label_set(*names):
    return LabelSet("mine", tuple(Label(i, name, (i, 0, 0), False, i) for i, name in enumerate(names)))


@pytest.fixture(scope="module")
def segformer(tmp_path_factory):
    """A folder as the hub has it, written by the library itself, of a network that was never trained."""
    folder = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    network = smp.Segformer("mit_b0", encoder_weights=None, decoder_segmentation_channels=256, classes=19)
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def photo():
    return torch.randn(1, 3, 32, 64, generator=torch.Generator().manual_seed(0))


def test_a_segformer_computes_what_the_library_does_from_the_same_folder(segformer, photo):
    ours = pretrained(SMALL, CITYSCAPES, segformer)
    theirs = smp.from_pretrained(str(segformer)).eval()
    with torch.no_grad():
        assert torch.equal(ours.network.eval()(photo), theirs(photo))
    assert (ours.kind, ours.outputs, ours.size_px) == ("smp-hub", 19, (1024, 512))
    assert ours.preprocessing.mean == (123.675, 116.28, 103.53)
    assert ours.source["repository"] == f"smp-hub/{SMALL}"
    assert len(ours.source["sha256"]) == 64
    assert "not for commercial use" in ours.source["terms"]


def test_the_same_network_is_built_again_from_its_arguments(segformer):
    made = pretrained(f"smp-hub/{SMALL}", KNOWN["cityscapes19"], segformer / "model.safetensors")
    again = build_network(made.kind, made.arguments, made.outputs)
    assert again.load_state_dict(made.network.state_dict()).missing_keys == []


def test_fewer_classes_in_another_order_take_their_channels_and_the_rest_become_void(segformer, photo):
    names = [label.name for label in CITYSCAPES.classes]
    ours = pretrained(SMALL, label_set("sky", "road"), segformer)
    theirs = smp.from_pretrained(str(segformer)).eval()
    with torch.no_grad():
        logits, wanted = ours.network.eval()(photo), theirs(photo)
    assert ours.outputs == 19
    assert torch.allclose(logits[:, :2], wanted[:, [names.index("sky"), names.index("road")]], atol=1e-6)
    assert torch.allclose(logits.sort(dim=1).values, wanted.sort(dim=1).values, atol=1e-6)


def test_a_network_of_torchvisions_takes_its_channels_by_name(monkeypatch, tmp_path, photo):
    torch.manual_seed(0)
    theirs = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    file = tmp_path / "lraspp.pth"
    torch.save(theirs.state_dict(), file)
    monkeypatch.setattr(module, "fetch", lambda address, digits, place: file)
    ours = pretrained(LRASPP, label_set("person", "car", "background"))
    with torch.no_grad():
        logits, wanted = ours.network.eval()(photo), theirs(photo)["out"]
    assert torch.allclose(logits[:, :3], wanted[:, [15, 7, 0]], atol=1e-6)
    assert (ours.kind, ours.outputs) == ("torchvision", 21)


@pytest.mark.slow
def test_the_second_head_that_only_trained_is_left_out(monkeypatch, tmp_path):
    from torchvision.models.segmentation import fcn_resnet50

    state = fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True).state_dict()
    torch.save(state, tmp_path / "fcn.pth")
    monkeypatch.setattr(module, "fetch", lambda address, digits, place: tmp_path / "fcn.pth")
    ours = pretrained("torchvision/fcn_resnet50", label_set("person"))
    assert torch.equal(ours.network.state_dict()["network.classifier.4.bias"][0], state["classifier.4.bias"][15])


def test_torchvisions_addresses_say_the_digest_that_is_compared(monkeypatch):
    asked = []

    def fetch(address, digits, place):
        asked.append((address, digits, place.name))
        raise DownloadError("no network.")

    monkeypatch.setattr(module, "fetch", fetch)
    with pytest.raises(DownloadError):
        pretrained("fcn_resnet50", label_set("person"))
    address = "https://download.pytorch.org/models/fcn_resnet50_coco-1167a1af.pth"
    assert asked == [(address, "1167a1af", "fcn_resnet50_coco-1167a1af.pth")]


def test_a_copy_of_another_file_is_refused_with_both_digests(tmp_path):
    (tmp_path / "copy.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"copy\.pth has the sha256 [0-9a-f]{64} where d234d4ea is expected"):
        pretrained(LRASPP, label_set("person"), tmp_path / "copy.pth")


@pytest.mark.parametrize("labels", ["cityscapes", "camvid11"])
def test_torchvisions_classes_cannot_mean_those_of_street_photos(labels, monkeypatch):
    monkeypatch.setattr(module, "fetch", None)  # it is refused before anything is fetched
    with pytest.raises(WeightsError) as caught:
        pretrained(f"torchvision/{LRASPP}", KNOWN[labels])
    sentence = str(caught.value)
    assert "road" in sentence
    assert "building" in sentence
    assert "cgeval scorer train" in sentence
    assert "\n" not in sentence


def test_what_it_does_know_is_not_among_the_missing():
    with pytest.raises(
        WeightsError, match=r"does not know 14 of the 19 classes of label set 'cityscapes' \("
    ) as caught:
        pretrained(LRASPP, CITYSCAPES)
    missing = str(caught.value).partition("(road")[2].partition(")")[0]
    assert not {"car", "bus", "person", "train", "bicycle"} & set(missing.split(", "))


def test_a_segformer_of_cityscapes_is_refused_for_camvid():
    with pytest.raises(
        WeightsError, match=r"Cityscapes\) does not know 5 of the 11 .* \(pavement, tree, sign symbol, pedestrian"
    ):
        pretrained(SMALL, KNOWN["camvid11"])


def test_many_missing_classes_are_not_all_named():
    with pytest.raises(WeightsError, match=r"x19 and 30 more\)"):
        pretrained(SMALL, label_set(*(f"x{i}" for i in range(50))))


def test_a_folder_without_the_file_and_a_file_of_another_network_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"model\.safetensors is not there: give the file model\.safetensors"):
        pretrained(SMALL, CITYSCAPES, tmp_path)
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"holds other tensors than the network: \d+ missing, 1 foreign"):
        pretrained(SMALL, CITYSCAPES, tmp_path)


def test_a_wrong_name_is_answered_with_those_that_are_close():
    with pytest.raises(ConfigError, match="did you mean segformer-b5-1024x1024-city-160k"):
        pretrained("segformer-b5-1024x1024-city", CITYSCAPES)


def test_a_name_that_is_like_none_is_answered_with_how_to_list_them():
    with pytest.raises(ConfigError) as caught:
        pretrained("nope", CITYSCAPES)
    assert str(caught.value) == "there is no trained network 'nope': `cgeval scorer list --remote` names them."


def test_a_copy_that_is_no_file_of_weights_is_called_that_and_torch_says_nothing(tmp_path):
    (tmp_path / "junk").write_bytes(b"junk" * 100)
    with pytest.raises(WeightsError, match=r"junk is no file of weights, or it was cut off: fetch or copy it again\.$"):
        pretrained(SMALL, CITYSCAPES, tmp_path / "junk")
