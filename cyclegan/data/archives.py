"""A dataset's name goes in; which official archive it is comes out: its address, size and digest, and what it holds.

The authors of CycleGAN and pix2pix serve them; nothing here touches the network.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cgeval.errors import ConfigError
from cyclegan.data.disk import megabytes

CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
CYCLEGAN_OLDER = "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets"
PIX2PIX = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
PIX2PIX_OLDER = "https://people.eecs.berkeley.edu/~tinghuiz/projects/pix2pix/datasets"

# Size in bytes and sha256 as TensorFlow Datasets publishes them: tensorflow_datasets/url_checksums/cycle_gan.txt.
PUBLISHED = {
    "apple2orange": (78_456_409, "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8"),
    "cezanne2photo": (279_885_071, "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff"),
    "cityscapes": (279_601_602, "d2f6910fd056c1ee9873777ae838e7ac4a2c833598ae62a04188e5ab2f4ea036"),
    "facades": (35_135_868, "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0"),
    "horse2zebra": (116_867_962, "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1"),
    "iphone2dslr_flower": (339_964_458, "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113"),
    "maps": (1_476_754_427, "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e"),
    "monet2photo": (305_231_073, "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04"),
    "summer2winter_yosemite": (132_640_856, "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9"),
    "ukiyoe2photo": (292_946_532, "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08"),
    "vangogh2photo": (306_590_349, "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff"),
}
DOMAINS = {
    "apple2orange": ("apples", "oranges"),
    "horse2zebra": ("horses", "zebras"),
    "summer2winter_yosemite": ("summer", "winter"),
    "monet2photo": ("Monet", "photos"),
    "cezanne2photo": ("Cezanne", "photos"),
    "ukiyoe2photo": ("Ukiyo-e", "photos"),
    "vangogh2photo": ("Van Gogh", "photos"),
    "maps": ("aerial photos", "maps"),
    "facades": ("photos", "labels"),
    "iphone2dslr_flower": ("phone photos", "camera photos"),
    "cityscapes": ("photos", "labels"),
}
PIX2PIX_DOMAINS = {
    "facades": ("photos", "labels"),
    "maps": ("aerial photos", "maps"),
    "edges2shoes": ("edges", "shoes"),
    "edges2handbags": ("edges", "handbags"),
    "night2day": ("night", "day"),
    "cityscapes": ("photos", "labels"),
}
WITHDRAWN = {"cityscapes", "pix2pix_cityscapes"}


@dataclass(frozen=True)
class Archive:
    """One official archive: where it lies, what it holds, and its size in bytes and sha256 where published.

    domains: names of A and B; None where there are no two domains to train on, only pictures to translate.
    """

    name: str
    server: str
    older: str
    file: str
    domains: tuple[str, str] | None
    size_bytes: int | None = None
    sha256: str | None = None

    @property
    def address(self) -> str:
        """Where the authors serve it."""
        return f"{self.server}/{self.file}"

    @property
    def withdrawn(self) -> bool:
        """Whether the authors no longer serve it."""
        return self.name in WITHDRAWN

    @property
    def about(self) -> str:
        """What it is, in a few words."""
        if self.withdrawn:
            return "withdrawn for its licence: see cityscapes-dataset.com and `cyclegan data prepare`"
        what = " and ".join(self.domains) if self.domains else "photos to translate with a style, not to train on"
        kind = ", in aligned pairs" if self.server == PIX2PIX else ""
        size = megabytes(self.size_bytes) if self.size_bytes else "size and digest not published"
        return f"{what}{kind}; {size}"

    def next_step(self, out: Path) -> str:
        """The command that makes sense once it lies in `out`."""
        return f"cyclegan data check {out}" if self.domains else f"cyclegan translate RUN --input {out}"


def _archives() -> Iterator[Archive]:
    for name, domains in DOMAINS.items():
        yield Archive(name, CYCLEGAN, CYCLEGAN_OLDER, f"{name}.zip", domains, *PUBLISHED[name])
    yield Archive("ae_photos", CYCLEGAN, CYCLEGAN_OLDER, "ae_photos.zip", None)
    for name, domains in PIX2PIX_DOMAINS.items():
        yield Archive(f"pix2pix_{name}", PIX2PIX, PIX2PIX_OLDER, f"{name}.tar.gz", domains)


DATASETS: Mapping[str, Archive] = {archive.name: archive for archive in _archives()}


def archive_named(name: str) -> Archive:
    """The archive of that name. Raises ConfigError with the names that come close."""
    if name not in DATASETS:
        close = difflib.get_close_matches(name, DATASETS, n=3)
        hint = f"perhaps you mean {' or '.join(close)}" if close else f"there are {', '.join(DATASETS)}"
        raise ConfigError(f"no dataset is called {name!r}: {hint}; `cyclegan data download --list` says what they are.")
    return DATASETS[name]
