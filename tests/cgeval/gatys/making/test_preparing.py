"""An image that is too small for the network's layers is refused, with the size that works."""

import re

import pytest
import torch

from cgeval.errors import DataError
from cgeval.gatys.making.contents import open_contents
from cgeval.gatys.making.preparing import load_network, refuse_small
from cgeval.images import write_png
from tests.cgeval.gatys.networks import request, write_squeezenet
from tests.cgeval.gatys.pictures import photo


@pytest.mark.parametrize(("width", "height"), [(40, 40), (120, 40), (30, 1000)])
@pytest.mark.parametrize("stages", ["1:1", "0.5:1,1:1"])
def test_the_size_that_is_named_is_the_least_that_works(tmp_path, width, height, stages):
    write_png(tmp_path / "a.png", photo(1, height, width))
    asked = request(tmp_path, tmp_path, write_squeezenet(tmp_path / "w.pth"), changes=(f"stages={stages}",)).settings
    network, settings = load_network(asked, torch.device("cpu"))
    with pytest.raises(DataError) as caught:
        refuse_small(open_contents(tmp_path / "a.png", size_px=3)[0], [], network, settings)
    works = int(re.search(r"--size (\d+)", str(caught.value))[1])
    refuse_small(open_contents(tmp_path / "a.png", size_px=works)[0], [], network, settings)
    with pytest.raises(DataError):
        refuse_small(open_contents(tmp_path / "a.png", size_px=works - 1)[0], [], network, settings)
