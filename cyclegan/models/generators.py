"""The configuration's `[networks]` goes in; an uninitialised generator of that name comes out."""

from torch import nn

from cyclegan.config import Networks
from cyclegan.networks import resnet_generator, unet_generator


def build_generator(net: Networks) -> nn.Module:
    """RGB to RGB; the U-Nets always have pix2pix's dropout, the ResNets where `dropout` says so."""
    if net.generator == "resnet6" or net.generator == "resnet9":
        blocks = 6 if net.generator == "resnet6" else 9
        return resnet_generator(
            blocks=blocks, width=net.width, norm=net.norm, dropout=net.dropout, convolution=net.convolution
        )
    return unet_generator(256 if net.generator == "unet256" else 128, width=net.width, norm=net.norm)
