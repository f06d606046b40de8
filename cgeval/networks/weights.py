"""An address goes in; a file of weights that is whole and checked comes out. The only network access of cgeval.

Files of the Hugging Face hub come through its own client, into its own cache; all others come here, are compared with
their digest, and lie below $CGEVAL_CACHE. What can be fetched by name is listed here too, so that listing is quick.
"""

import hashlib
import http.client
import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from cgeval.errors import ConfigError, DownloadError, OutputError, WeightsError
from cgeval.files import LEFTOVER, cache_folder, sha256_file

TIMEOUT_S = 10.0
CHUNK_BYTES = 1 << 18
FEWEST_DIGITS = 8  # of a digest, as PyTorch writes them into the names of its files
HEADERS = {"User-Agent": "cgeval", "Accept-Encoding": "identity"}
WEB_PAGES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True)
class Checkpoint:
    """A SegFormer of the hub, trained on Cityscapes' 19 classes.

    decoder_width: channels of its decoder. size_px: width and height that whole photos had (it saw crops of them).
    """

    repository: str
    encoder: str
    decoder_width: int
    size_px: tuple[int, int]


# Xie et al. 2021 (arXiv 2105.15203), brought to the hub by the authors of segmentation_models_pytorch. In their names
# stands height x width of the crops; whole photos were 2:1 and of the crops' height (NVlabs/SegFormer, local_configs).
_SEGFORMERS = (
    ("b0", "512x1024", 256),
    ("b0", "640x1280", 256),
    ("b0", "768x768", 256),
    ("b0", "1024x1024", 256),
    ("b1", "1024x1024", 256),
    ("b2", "1024x1024", 768),
    ("b3", "1024x1024", 768),
    ("b4", "1024x1024", 768),
    ("b5", "1024x1024", 768),
)
HUB_CHECKPOINTS = {
    f"segformer-{size}-{crop}-city-160k": Checkpoint(
        f"smp-hub/segformer-{size}-{crop}-city-160k",
        f"mit_{size}",
        width,
        (2 * int(crop.partition("x")[0]), int(crop.partition("x")[0])),
    )
    for size, crop, width in _SEGFORMERS
}
TORCHVISION_NAMES = (
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet101",
    "deeplabv3_resnet50",
    "fcn_resnet101",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
)


def pretrained_names() -> list[str]:
    """Whole networks that can be had trained, by name."""
    return [*(f"smp-hub/{name}" for name in HUB_CHECKPOINTS), *(f"torchvision/{name}" for name in TORCHVISION_NAMES)]


def weights_folder() -> Path:
    """Where fetched files lie."""
    return cache_folder() / "weights"


def fetch(address: str, sha256: str, place: Path, *, progress: bool = True) -> Path:
    """Fetch the file once, to `place`; another time it is found there and only compared.

    sha256: the digest that it must have, or its first digits, 8 at least. Raises WeightsError, naming both digests,
    for another file; DownloadError where it cannot be had; OutputError where it cannot be kept.
    """
    expected = sha256.strip().lower()
    if not re.fullmatch(rf"[0-9a-f]{{{FEWEST_DIGITS},64}}", expected):
        raise ConfigError(f"the sha256 is {sha256!r}: 64 hexadecimal digits are expected, as `sha256sum` prints them.")
    if not urlsplit(address).scheme.startswith("http"):
        raise ConfigError(f"the address is {address!r}: one that begins with http:// or https:// is expected.")
    if place.is_file():
        refuse_another(place, expected)
        return place
    part = place.with_name(f"{LEFTOVER}{place.name}-{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        found = _receive(address, part, place, progress)
        _compare(found, expected, address, f"try again, or fetch it by other means and put it at {place}")
        part.replace(place)
    except OSError as error:
        raise OutputError(
            f"{place} cannot be written ({error.strerror}): set CGEVAL_CACHE to another folder."
        ) from None
    finally:
        if place.parent.is_dir():
            part.unlink(missing_ok=True)
    return place


def refuse_another(file: Path, sha256: str) -> None:
    """Raise WeightsError, naming both digests, unless the file has that one or one that begins so."""
    _compare(sha256_file(file), sha256, str(file), "remove it, or put the right file in its place")


def hub_file(repository: str, name: str, otherwise: str, revision: str | None = None) -> Path:
    """A file of the Hugging Face hub: from its client's cache, or fetched into it.

    otherwise: what else the user can do; it ends the sentence. HF_HUB_OFFLINE, HF_ENDPOINT and HF_HOME mean what they
    mean to the client. Raises DownloadError.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        pass  # it was never fetched
    what = f"{name} of {repository}"
    if constants.HF_HUB_OFFLINE:
        raise DownloadError(f"{what} is not in the hub's cache, and HF_HUB_OFFLINE forbids to fetch it: {otherwise}.")
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    unreachable = _unreachable(endpoint)  # the client itself would try for half a minute
    if unreachable:
        raise DownloadError(f"{what} could not be fetched, as {endpoint} did not answer ({unreachable}): {otherwise}.")
    try:
        return Path(hf_hub_download(repository, name, revision=revision, endpoint=endpoint, etag_timeout=TIMEOUT_S))
    except Exception as error:  # the client's HTTP library, and so its errors, change from version to version
        raise DownloadError(
            f"{what} could not be fetched from {endpoint} ({_first_line(error)}): {otherwise}."
        ) from None


def _receive(address: str, part: Path, place: Path, progress: bool) -> str:
    """Write what comes into the part, down to the disk; returns its SHA-256."""
    digest = hashlib.sha256()
    with (
        _ask(address, place) as response,
        part.open("wb") as file,
        tqdm(total=_length(response), desc=place.name, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        for chunk in _chunks(response, address):
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _ask(address: str, place: Path) -> HTTPResponse:
    by_hand = f"fetch it on a machine with a network and put it at {place}"
    try:
        response: HTTPResponse = urlopen(Request(address, headers=HEADERS), timeout=TIMEOUT_S)
    except HTTPError as error:
        error.close()
        raise DownloadError(f"{address} answers {error.code} ({error.reason}): {by_hand}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(f"{address} could not be reached ({_reason(error)}): {by_hand}.") from None
    if response.headers.get_content_type() in WEB_PAGES:
        response.close()
        raise DownloadError(f"{address} is a web page and no file, as when a proxy stands between: {by_hand}.")
    return response


def _chunks(response: HTTPResponse, address: str) -> Iterator[bytes]:
    """The body as it comes; raises DownloadError where it ends early."""
    came, wanted = 0, _length(response)
    try:
        while chunk := response.read1(CHUNK_BYTES):
            came += len(chunk)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{address} broke off after {came} bytes ({_reason(error)}): try again.") from None
    if wanted is not None and came < wanted:
        raise DownloadError(f"{address} broke off after {came} of {wanted} bytes: try again.")


def _length(response: HTTPResponse) -> int | None:
    length = response.headers.get("Content-Length")
    return int(length) if length and length.isdecimal() else None


def _compare(found: str, expected: str, what: str, advice: str) -> None:
    if not found.startswith(expected.lower()):
        begins = "" if len(expected) == len(found) else " at its beginning"
        raise WeightsError(f"{what} has the sha256 {found} where {expected} is expected{begins}: {advice}.")


def _unreachable(endpoint: str) -> str | None:
    """Why nothing answers there; None where something does, or where another client may fare better (certificates)."""
    try:
        urlopen(Request(endpoint, headers=HEADERS, method="HEAD"), timeout=TIMEOUT_S).close()
    except HTTPError as error:
        error.close()
    except OSError as error:
        cause = error.reason if isinstance(error, URLError) else error
        return None if isinstance(cause, ssl.SSLError) else _reason(error)
    return None


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return "it did not answer in time" if isinstance(cause, TimeoutError) else _first_line(cause)


def _first_line(error: object) -> str:
    """The first line of what an error says, without its full stop, or the error's name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
