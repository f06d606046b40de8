"""A schedule's name and an epoch (counted from 0) go in; the factor on the learning rate comes out.

All three keep the rate for `constant` epochs and let it fall linearly over `decay` epochs; they differ by one
epoch in where the line starts and ends, as three published programs do.
"""

from cyclegan.config import ScheduleName


def learning_rate_factor(name: ScheduleName, epoch: int, constant: int, decay: int) -> float:
    """Factor in (0, 1] for epoch 0 .. constant + decay - 1.

    reference: the PyTorch program since 2025, 1 - max(0, e - constant) / (decay + 1);
    classic: the same before 2025, 1 - max(0, e + 1 - constant) / (decay + 1);
    paper: the Lua program behind the paper's numbers, which subtracts 1/decay after each epoch above `constant`,
    so its last epoch still runs at 1/decay.
    """
    if decay == 0:
        return 1.0
    if name == "reference":
        return 1.0 - max(0, epoch - constant) / (decay + 1)
    if name == "classic":
        return 1.0 - max(0, epoch + 1 - constant) / (decay + 1)
    return 1.0 - max(0, epoch - constant) / decay
