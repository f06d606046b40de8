"""The house stays as drawn: arrows run one way, the core is light, every command's help is quick."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "torchvision", "flask", "sqlalchemy", "pydantic", "matplotlib", "scipy", "pandas", "jinja2")
LIGHT = [
    "cgeval.adopt",
    "cgeval.cli",
    "cgeval.cli.ablations",
    "cgeval.cli.adopt",
    "cgeval.cli.compare",
    "cgeval.cli.fcn_score",
    "cgeval.cli.gatys",
    "cgeval.cli.scorer",
    "cgeval.compare.gather",
    "cgeval.compare.making",
    "cgeval.compare.renderers",
    "cgeval.compare.report",
    "cgeval.datasets",
    "cgeval.gatys.settings",
    "cgeval.images",
    "cgeval.labelled",
    "cgeval.labels",
    "cgeval.matrices",
    "cgeval.metrics",
    "cgeval.networks.caffemodel",
    "cgeval.plots",
    "cgeval.protocols.fcn_score",
    "cgeval.records",
    "cgeval.runs",
    "cgeval.scorers.recipe",
    "cgeval.scorers.store",
    "cgeval.truth",
    "study_server.cli",
    "cyclegan.cli",
]


def imported_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_core_imports_nothing_heavy(module):
    assert imported_by(f"import {module}").isdisjoint(HEAVY)


def test_the_check_above_can_fail():
    assert "torch" in imported_by("import cyclegan.networks")


def test_the_core_and_the_study_bring_no_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for requirements in (project["dependencies"], extras["study"], extras["compare"]):
        assert not any("torch" in requirement or "train" in requirement for requirement in requirements)


@pytest.mark.parametrize("program", ["cgeval", "cyclegan", "study-server"])
def test_console_scripts_answer_help_and_version(program):
    script = Path(sys.executable).parent / program
    for option in ("--help", "--version"):
        done = subprocess.run([script, option], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_only_one_module_opens_image_files():
    openers = [
        path.relative_to(ROOT).as_posix()
        for package in ("cgeval", "cyclegan", "study_server")
        for path in (ROOT / package).rglob("*.py")
        if "Image.open(" in path.read_text(encoding="utf-8")
    ]
    assert openers == ["cgeval/images.py"]
