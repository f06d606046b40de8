"""One process of a group under torchrun: trains a few steps in float64 and writes what it ends with.

    torchrun ... tests/cyclegan/process_of_a_group.py CONFIG.toml STEPS OUT.pt

In float64, since Adam turns float32's rounding of gradients about 0 into whole steps of the learning rate.
"""

import sys
from pathlib import Path

import torch

from cyclegan.config import load_config
from cyclegan.distributed import join_world, leave_world, wait_for_all
from cyclegan.inputs import open_inputs
from cyclegan.step import TrainStep


def main(config_file: str, steps: int, out: Path) -> None:
    torch.set_num_threads(1)
    world = join_world("cpu")
    config = load_config(config_file)
    inputs = open_inputs(config, world)
    step = TrainStep(config, torch.device("cpu"), world)
    step.translator.networks.double()
    step.translator.pools.double()
    losses = []
    for number in range(steps):
        real_a, real_b = inputs.training.batch(0, number)
        losses.append(step(real_a.double(), real_b.double(), step.draws(number)))
    if world.leads:
        torch.save({"weights": step.translator.networks.state_dict(), "losses": torch.stack(losses)}, out)
    wait_for_all(world)
    leave_world()


main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
