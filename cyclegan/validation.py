"""A training step's generators and held-out images go in; one number to choose the best checkpoint by comes out.

paired_l1_ab, paired_l1_ba: mean |translation - truth| in [0, 2], paired data; cycle_l1: mean of both cycles'
|reconstruction - input|; label_accuracy: share of pixels of gen_ba(photo) whose nearest palette colour (L2) is
the truth's, for data whose label domain is A or B. All at the crop size, over `checkpoints.validation_images`.
"""

import numpy as np
import torch
from torch import Tensor

from cgeval.errors import ConfigError
from cgeval.labels import label_set
from cyclegan.config import MetricName
from cyclegan.inputs import Inputs
from cyclegan.models.translator import Made
from cyclegan.show import to_pictures, undisturbed
from cyclegan.step import TrainStep

HIGHER_IS_BETTER: frozenset[MetricName] = frozenset({"label_accuracy"})


def improves(metric: MetricName, value: float | None, best: float | None) -> bool:
    """Whether `value` is better than the best so far."""
    if value is None or best is None:
        return value is not None
    return value > best if metric in HIGHER_IS_BETTER else value < best


def validate(step: TrainStep, inputs: Inputs, metric: MetricName) -> float:
    """The metric's mean over the validation images."""
    values = []
    with undisturbed(step.translator), torch.no_grad():
        for real_a, real_b in inputs.validation:
            made = step.translator.show(real_a.to(step.device), real_b.to(step.device))
            values.append(_value(metric, made, inputs))
    return float(np.mean(values))


def _value(metric: MetricName, made: Made, inputs: Inputs) -> float:
    if metric == "cycle_l1":
        _need(made, "cycle_a", metric)
        return (_l1(made["cycle_a"], made["real_a"]) + _l1(made["cycle_b"], made["real_b"])) / 2
    if metric == "label_accuracy":
        return _label_accuracy(made, inputs)
    target = "b" if metric == "paired_l1_ab" else "a"
    _need(made, f"fake_{target}", metric)
    return _l1(made[f"fake_{target}"], made[f"real_{target}"])


def _need(made: Made, key: str, metric: MetricName) -> None:
    if key not in made:
        raise ConfigError(f"checkpoints.best_by = {metric!r} needs {key}, which this translator does not make.")


def _l1(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().mean())


def _label_accuracy(made: Made, inputs: Inputs) -> float:
    name, domain = inputs.dataset.label_set, inputs.dataset.label_domain
    if name is None or domain is None or not inputs.dataset.paired:
        raise ConfigError(
            "checkpoints.best_by = 'label_accuracy' needs paired data whose dataset.toml names "
            "label_set and label_domain."
        )
    _need(made, f"fake_{domain.lower()}", "label_accuracy")
    palette = np.array(sorted({label.colour for label in label_set(name).labels}), dtype=np.float32)
    fake, real = (
        torch.from_numpy(np.stack(to_pictures(made[f"{kind}_{domain.lower()}"]))) for kind in ("fake", "real")
    )
    colours = torch.from_numpy(palette)
    agree = _nearest(fake, colours) == _nearest(real, colours)
    return float(agree.float().mean())


def _nearest(pictures: Tensor, palette: Tensor) -> Tensor:
    return torch.cdist(pictures.flatten(0, 2).float(), palette).argmin(1)
