"""An address and a part file go in; the whole file comes out, over several connections if one is cut.

Beside the part lies what the server said of the whole file, and If-Range sends it back: only the same file goes on
(RFC 9110, sections 13.1.5 and 14).
"""

import http.client
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from cgeval.errors import DownloadError
from cgeval.files import write_json_atomic
from cyclegan import __version__
from cyclegan.data.disk import megabytes, refuse_full

TIMEOUT_S = 30.0
ATTEMPTS = 3
PAUSE_S = 2.0
CHUNK_BYTES = 1 << 16
ALWAYS = {"User-Agent": f"cgeval/{__version__}", "Accept-Encoding": "identity"}


class _CutError(Exception):
    """The connection ended before the file did; the words are the reason."""


class _StaleError(Exception):
    """The part is not of the file that the server has now."""


@dataclass(frozen=True)
class _Told:
    """What a server says of the whole file. etag: a strong one only, as a weak one does not promise equal bytes."""

    address: str
    etag: str | None = None
    modified: str | None = None
    size_bytes: int | None = None

    @property
    def validator(self) -> str | None:
        """What tells this file from a later one at the same address."""
        return self.etag or self.modified

    def agrees_with(self, earlier: "_Told") -> bool:
        """Whether nothing is said now that was not said then."""
        said = {key: value for key, value in asdict(self).items() if value is not None}
        return said.items() <= asdict(earlier).items()


@dataclass(frozen=True)
class Transfer:
    """A file's address, and the part of it on this machine.

    part: a path in a folder that exists, FILE.part. otherwise: what else the user can do to have the file; it ends
    the errors' sentences. size_bytes: of the whole file, where known beforehand.
    """

    address: str
    part: Path
    otherwise: str
    size_bytes: int | None = None

    def complete(self) -> None:
        """Make the part whole; after a cut that brought something, go on a few times.

        Raises DownloadError, and OutputError where the disk has no room for the file and as much again unpacked.
        """
        for left in reversed(range(ATTEMPTS)):
            before = self._have_bytes()
            try:
                self._attempt()
                return
            except _CutError as cut:
                if not left or self._have_bytes() <= before:
                    raise self._cut_short(cut) from None
                tqdm.write(f"the connection was cut at {megabytes(self._have_bytes())}: going on.", file=sys.stderr)
                time.sleep(PAUSE_S)
            except KeyboardInterrupt:
                tqdm.write(f"{self._outlook()}.", file=sys.stderr)
                raise

    def _attempt(self) -> None:
        """Go on with the part, or start anew where it is another file's or nothing vouches for it."""
        told, have = self._told_before(), self._have_bytes()
        if have and have == told.size_bytes:
            return
        try:
            self._connect(have, told)
        except _StaleError:
            self._connect(0, told)

    def _connect(self, have: int, told: _Told) -> None:
        """One connection, for what follows the first `have` bytes or for all."""
        ranged = {"Range": f"bytes={have}-", "If-Range": told.validator} if have and told.validator else {}
        with self._ask(ranged) as response:
            self._refuse_page(response)
            now = _told_by(self.address, response)
            if not ranged or response.status != 206:
                self._receive(response, 0, now)
            elif _begins_at(have, response) and now.agrees_with(told):
                self._receive(response, have, told)
            else:  # some servers ignore If-Range and send the rest of another file
                raise _StaleError

    def _ask(self, ranged: Mapping[str, str]) -> HTTPResponse:
        kept = f"; {megabytes(self._have_bytes())} are kept, and the same command goes on from there" if ranged else ""
        try:
            response: HTTPResponse = urlopen(Request(self.address, headers={**ALWAYS, **ranged}), timeout=TIMEOUT_S)
        except HTTPError as error:
            error.close()
            if error.code == 416 and ranged:
                raise _StaleError from None
            raise DownloadError(
                f"{self.address} answers {error.code} ({error.reason}{kept}): "
                f"{'try again later, or ' if error.code >= 500 else ''}{self.otherwise}."
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadError(
                f"{self.address} could not be reached ({_reason(error)}{kept}): {self.otherwise}; "
                "`cyclegan data streets OUT` makes a dataset without a network."
            ) from None
        return response

    def _refuse_page(self, response: HTTPResponse) -> None:
        if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise DownloadError(
                f"{self.address} is a web page and not an archive, as when a login or a proxy stands between: "
                f"open it in a browser, or {self.otherwise}."
            )

    def _receive(self, response: HTTPResponse, start: int, told: _Told) -> None:
        """Write the body behind the first `start` bytes of the part."""
        total = told.size_bytes
        refuse_full(self.part.parent, 2 * (total or self.size_bytes or 0) - start)
        with (
            self.part.open("ab" if start else "wb") as file,
            tqdm(total=total, initial=start, desc=self.part.stem, unit="B", unit_scale=True) as bar,
        ):
            if not start:  # once the old part is gone, so that no kill leaves it beside the new file's description
                write_json_atomic(self._description(), asdict(told))
            for chunk in _chunks(response, None if total is None else total - start):
                file.write(chunk)
                bar.update(len(chunk))

    def _have_bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _description(self) -> Path:
        return self.part.with_suffix(".json")

    def _told_before(self) -> _Told:
        """What the server said when the part began; nothing where it came from another address."""
        try:
            told = _Told(**json.loads(self._description().read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):  # none, or not as we write it: the part is then fetched anew
            return _Told(self.address)
        return told if told.address == self.address else _Told(self.address)

    def _cut_short(self, cut: _CutError) -> DownloadError:
        total = self._told_before().size_bytes
        of = "" if total is None else f" of {megabytes(total)}"
        have = megabytes(self._have_bytes())
        return DownloadError(f"the connection to {self.address} was cut at {have}{of} ({cut}): {self._outlook()}.")

    def _outlook(self) -> str:
        if not self._have_bytes():
            return "nothing has come in yet, so the same command starts anew"
        if not self._told_before().validator:
            return "the server does not name the file's version, so the same command starts anew"
        return f"the part is kept in {self.part}, and the same command goes on from there"


def _told_by(address: str, response: HTTPResponse) -> _Told:
    etag, length = response.headers.get("ETag"), response.headers.get("Content-Length")
    if response.status == 206:
        length = response.headers.get("Content-Range", "").rpartition("/")[2]
    return _Told(
        address,
        etag=None if etag is None or etag.startswith("W/") else etag,
        modified=response.headers.get("Last-Modified"),
        size_bytes=int(length) if length and length.isdecimal() else None,
    )


def _begins_at(offset: int, response: HTTPResponse) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _chunks(response: HTTPResponse, wanted_bytes: int | None) -> Iterator[bytes]:
    """The body as it comes in; raises _CutError where the connection breaks, or ends before `wanted_bytes`."""
    came = 0
    try:
        while chunk := response.read1(CHUNK_BYTES):
            came += len(chunk)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(_reason(error)) from None
    if wanted_bytes is not None and came < wanted_bytes:
        raise _CutError("the server ended it early")


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return "it did not answer in time" if isinstance(cause, TimeoutError) else str(cause) or type(cause).__name__
