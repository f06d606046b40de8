"""A study's folder goes in; what differs from the manifest it was frozen to comes out."""

from pathlib import Path

from cgeval.files import sha256_file
from study_server.manifest import CONFIG, STIMULI, read_manifest


def verify_study(folder: Path) -> list[str]:
    """A sentence on each file that is missing or changed; none where the study is as it was built."""
    manifest = read_manifest(folder)
    expected = {folder / CONFIG: manifest.config_sha256}
    expected |= {folder / STIMULI / name: digest for name, digest in manifest.stimuli.items()}
    missing = [file for file in expected if not file.is_file()]
    changed = [file for file, digest in expected.items() if file.is_file() and sha256_file(file) != digest]
    return [f"{file} is missing." for file in missing] + [f"{file} was changed after the build." for file in changed]
