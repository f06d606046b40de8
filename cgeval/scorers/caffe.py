"""A `.caffemodel` of FCN-8s goes in; a scorer comes out, which measures as the paper does and needs no Caffe."""

import re
from importlib.metadata import version
from pathlib import Path

from cgeval.errors import ConfigError, OutputError, WeightsError
from cgeval.files import sha256_file
from cgeval.labels import KNOWN, LabelSet
from cgeval.networks.caffemodel import read_caffemodel
from cgeval.runs import now
from cgeval.scorers.store import FILE, ScorerFile, ScorerInfo, read_header, write_scorer

# scripts/eval_cityscapes/cityscapes.py of junyanz/pytorch-CycleGAN-and-pix2pix, in the order B, G, R
MEAN_BGR = (72.78044, 83.21195, 73.45286)
SIZE_PX = (2048, 1024)
CLASSES = 19  # channel 19 of the 20 was never trained for, and counts as void


def import_caffe(
    file: Path, out: Path, labels: LabelSet = KNOWN["cityscapes"], sha256: str | None = None, *, width: int = 64
) -> ScorerFile:
    """Make a scorer in the folder `out` of the paper's weights; where it is there already, this very one is returned.

    labels: 19 classes in the order of Cityscapes' train ids. sha256: what the file's must be. width: of the network's
    first convolution, as in `FCN8s`. Raises WeightsError for another file, ConfigError for labels that cannot be
    meant, and OutputError where `out` holds another scorer.
    """
    if len(labels.classes) != CLASSES:
        raise ConfigError(
            f"label set {labels.name!r} has {len(labels.classes)} scored classes and the weights know {CLASSES}: name "
            "one with those of Cityscapes, in the order of their train ids."
        )
    digest = _checked_digest(file, sha256) if file.is_file() else ""  # what is no file is refused below, by what it is
    from cgeval.networks.fcn8s import OUTPUTS, state_from_caffe

    layers = read_caffemodel(file)
    source = {"file": file.name, "sha256": digest}
    state = state_from_caffe(layers, file, OUTPUTS, width)
    parameters = sum(tensor.numel() for tensor in state.values())
    info = _info(out.resolve().name, labels, source, {"width": width}, (OUTPUTS, parameters))
    return _same(out / FILE, info) if (out / FILE).exists() else write_scorer(out, state, info)


def _info(
    name: str, labels: LabelSet, source: dict[str, str], arguments: dict[str, int], counts: tuple[int, int]
) -> ScorerInfo:
    """What is to be known of the scorer; counts: of its outputs and parameters."""
    return ScorerInfo(
        name=name,
        kind="fcn8s",
        arguments=arguments,
        labels=labels,
        outputs=counts[0],
        size_px=SIZE_PX,
        protocol="paper",
        mean=MEAN_BGR,
        std=(1.0, 1.0, 1.0),
        channels="BGR",
        stride=1,
        trained_on={"name": "cityscapes", "split": "train"},
        validation={},
        source=source,
        parameters=counts[1],
        producer=f"cgeval {version('cgeval')}",
        created_at=now(),
    )


def _checked_digest(file: Path, expected: str | None) -> str:
    wanted = None if expected is None else expected.strip().lower()
    if wanted is not None and not re.fullmatch("[0-9a-f]{64}", wanted):
        raise ConfigError(
            f"the sha256 is {expected!r}: 64 hexadecimal digits are expected, as `sha256sum` prints them."
        )
    try:
        found = sha256_file(file)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read ({error.strerror}): restore it.") from None
    if wanted is not None and found != wanted:
        raise WeightsError(
            f"{file} has the SHA-256 {found}, and {wanted} is expected: it is another file, or was "
            "changed on its way; fetch it again, or leave the digest out if you trust it."
        )
    return found


def _same(path: Path, info: ScorerInfo) -> ScorerFile:
    """The scorer that is there, if it was made of the same weights for the same labels; raises OutputError if not."""
    there = read_header(path)
    for fact in ("kind", "arguments", "labels"):
        if getattr(there, fact) != getattr(info, fact):
            raise OutputError(f"{path} is a scorer with other {fact}: name another folder, or remove that one.")
    if there.source.get("sha256") != info.source["sha256"]:
        raise OutputError(f"{path} is a scorer made of another file: name another folder, or remove that one.")
    return ScorerFile(path, there)
