"""Fixtures shared by every test: where the real images lie, if they are on this machine at all."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images (CamVid, horse2zebra, ...); the test is skipped where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CGEVAL_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder} (set CGEVAL_TEST_DATA)")
    return folder
