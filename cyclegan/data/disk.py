"""A folder and the bytes that it still has to take go in; a refusal comes out where its disk has no room for them."""

import shutil
from pathlib import Path

from cgeval.errors import OutputError


def refuse_full(folder: Path, needed_bytes: int) -> None:
    """Raise OutputError unless the disk that the folder lies on has that much free."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OutputError(
            f"the disk of {folder} has {megabytes(free)} free, and the archive and its images still need about "
            f"{megabytes(needed_bytes)}: make room, or name a folder on another disk."
        )


def megabytes(size_bytes: int) -> str:
    """The size as people read it: "116.9 MB", "1.48 GB"; decimal, as disks and servers count."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
