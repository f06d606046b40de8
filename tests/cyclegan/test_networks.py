import pytest
import torch
from torch import Tensor, nn

from cyclegan.networks import count_parameters, initialise, patchgan, resnet_generator, unet_generator


def filled(network: nn.Module, seed: int = 0, std: float = 0.1) -> nn.Module:
    initialise(network, torch.Generator().manual_seed(seed), std)
    return network


def images(count: int, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(count)) * 2 - 1


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (lambda: resnet_generator(blocks=9), 11_378_179),
        (lambda: resnet_generator(blocks=6), 7_837_699),
        (lambda: patchgan(), 2_764_737),
        (lambda: unet_generator(256), 54_413_955),
        (lambda: unet_generator(128), 41_828_995),
    ],
)
def test_parameter_counts_are_the_references(network, count):
    with torch.device("meta"):
        assert count_parameters(network()) == count


@pytest.mark.parametrize(("dropout", "second"), [(False, 5), (True, 6)])
@pytest.mark.parametrize("convolution", ["direct", "winograd2", "winograd4"])
def test_resnet_names_are_the_references(dropout, second, convolution):
    network = resnet_generator(blocks=2, width=4, dropout=dropout, convolution=convolution)
    layers = [1, 4, 7, *(f"{i}.conv_block.{j}" for i in (10, 11) for j in (1, second)), 12, 15, 19]
    expected = [f"model.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert list(network.state_dict()) == expected


def test_patchgan_names_are_the_references():
    shapes = {name: tuple(value.shape) for name, value in patchgan().state_dict().items()}
    weights = [name for name in shapes if name.endswith("weight")]
    assert weights == [f"model.{i}.weight" for i in (0, 2, 5, 8, 11)]
    assert shapes["model.8.weight"] == (512, 256, 4, 4)
    assert shapes["model.11.bias"] == (1,)


def test_unet_names_are_the_references():
    names = set(unet_generator(128, width=4).state_dict())
    assert "model.model.0.weight" in names
    assert "model.model.1.model.2.running_mean" in names
    assert "model.model.1.model.3.model.1.weight" in names
    assert "model.model.3.bias" in names
    assert "model.model.0.bias" not in names
    assert "model.model.1" + ".model.3" * 5 + ".model.4.weight" in names


def test_sizes_of_the_outputs():
    assert resnet_generator(blocks=1, width=4)(images(1)).shape == (1, 3, 32, 32)
    assert unet_generator(128, width=4)(images(1, 128)).shape == (1, 3, 128, 128)
    with torch.device("meta"):
        assert patchgan()(torch.empty(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize(
    "network",
    [
        lambda: resnet_generator(blocks=2, width=4),
        lambda: resnet_generator(blocks=2, width=4, convolution="winograd4"),
        lambda: patchgan(width=4, layers=2),
    ],
)
def test_a_batch_gives_each_image_what_it_would_get_alone(network):
    network = filled(network()).double()
    batch = images(2).double()
    together = network(batch)
    alone = torch.cat([network(batch[:1]), network(batch[1:])])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


def test_channels_last_gives_the_same_images():
    network, batch = filled(resnet_generator(blocks=1, width=8)), images(2)
    expected = network(batch)
    network.to(memory_format=torch.channels_last)
    found = network(batch.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_dead_biases_have_no_effect_no_gradient_and_keep_their_value():
    network, batch = filled(resnet_generator(blocks=1, width=4)), images(1)
    expected = network(batch)
    state = network.state_dict()
    dead = [name for name in state if name.endswith("bias") and name != "model.18.bias"]
    network.load_state_dict(state | {name: state[name] + 1 for name in dead})
    assert torch.equal(network(batch), expected)
    network(batch).sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == dead
    assert torch.equal(network.state_dict()["model.1.bias"], torch.ones(4))


def test_live_biases_are_computed_with():
    network, batch = filled(patchgan(width=4)), images(1, 64)
    before = network(batch)
    with torch.no_grad():
        network.model[0].bias += 1
    assert not torch.allclose(network(batch), before)


def test_batch_norm_has_no_bias_before_it_and_running_statistics():
    names = resnet_generator(blocks=1, width=4, norm="batch").state_dict().keys()
    assert "model.1.bias" not in names
    assert {"model.2.running_mean", "model.2.weight"} <= names
    assert [name for name in names if name.startswith("model.18")] == ["model.18.weight", "model.18.bias"]


def test_initialisation_is_a_function_of_the_generator():
    one, other = (filled(unet_generator(128, width=4), 3, 0.02).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    weights = filled(resnet_generator(blocks=1), std=0.02).model[10].conv_block[1].weight.detach()
    assert abs(float(weights.std()) - 0.02) < 1e-4
    assert abs(float(weights.mean())) < 1e-4


def test_relu_is_never_in_place():
    for network in (resnet_generator(blocks=1, width=4), patchgan(width=4), unet_generator(128, width=4)):
        assert not any(getattr(layer, "inplace", False) for layer in network.modules())
