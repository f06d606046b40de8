"""`cgeval compare --agreement` as a user meets it: in every format, without torch or scipy, and what cannot be."""

import csv
import io
import json
import shutil
import subprocess
import sys

import pytest

from cgeval.cli import main
from tests.cgeval.compare.judged import IDS, a_study
from tests.cgeval.compare.runs_with_records import seal_again
from tests.cgeval.test_compare_cli import HEAVY

COEFFICIENTS = ("spearman_rho", "kendall_tau_b", "order_by_chance")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    a_study(folder)
    return folder


@pytest.fixture
def cgeval(built, tmp_path, monkeypatch, capsys):
    """Type the command beside four judged methods; exit code, output, errors."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["cgeval", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


def test_the_terminal_has_both_tables(cgeval):
    code, out, err = cgeval("compare", "--agreement")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert "Agreement with people, labels -> photo (study streets, preset zhu2017): over methods" in words
    assert "Agreement with people, labels -> photo (study streets, preset zhu2017): over images" in words
    assert "class IoU 1.00 [1.00, 1.00] 1.00 [1.00, 1.00] 0.0833" in words
    assert "Look out: an order of 4 methods tells little (4 have 24 orders, so that p cannot be below 0.083)." in words


def test_nothing_of_it_is_there_without_being_asked(cgeval):
    assert "Agreement" not in cgeval("compare")[1]


@pytest.mark.parametrize("shown_as", ["markdown", "latex"])
def test_texts_for_papers_have_them_too(cgeval, shown_as):
    code, out, _ = cgeval("compare", "--agreement", "--format", shown_as)
    assert code == 0
    assert "Spearman's rho" in out
    assert "Kendall's tau-b" in out


def test_programs_get_every_coefficient_and_every_point(cgeval):
    lines = list(csv.DictReader(io.StringIO(cgeval("compare", "--agreement", "--format", "csv")[1])))
    found = [line for line in lines if line["protocol"] == "rank-agreement"]
    assert {line["metric"] for line in found} == set(COEFFICIENTS)
    assert len(found) == 4 * 3 + 4 * 4 * 2
    told = json.loads(cgeval("compare", "--agreement", "--format", "json")[1])
    over_methods, *_ = told["agreements"]
    (line,) = [line for line in found if (line["metric"], line["row"]) == ("spearman_rho", "per-pixel accuracy")]
    assert float(line["value"]) == over_methods["rho"]["value"]
    assert float(line["low"]) == over_methods["rho"]["low"]
    assert [point["label"] for point in over_methods["points"]] == [each["label"] for each in told["subjects"]]
    assert {point["label"] for point in told["agreements"][-1]["points"]} == set(IDS)


def test_neither_torch_nor_scipy_is_loaded(cgeval, tmp_path):
    assert cgeval("compare")[0] == 0
    code = f"""
import sys
sys.argv = ["cgeval", "compare", "--agreement"]
from cgeval.cli import main
try:
    main()
finally:
    print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    assert "over images" in done.stdout


# What cannot be


def refused(answer, tmp_path):
    code, out, err = answer
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "comparison").exists()
    return err


def test_without_a_study_it_says_what_is_missing(cgeval, tmp_path):
    shutil.rmtree(tmp_path / "studies")
    err = refused(cgeval("compare", "--agreement"), tmp_path)
    assert "no study has judged these images" in err
    assert "--study" in err


def test_a_study_of_images_that_are_gone_is_none(cgeval, tmp_path):
    from cgeval.runs import Run

    for path in (tmp_path / "runs").iterdir():
        seal_again(Run.open(path))
    assert "no study has judged these images" in refused(cgeval("compare", "--agreement"), tmp_path)


def test_nonsense_in_the_records_of_a_study_is_one_sentence(cgeval, tmp_path):
    path = tmp_path / "studies" / "streets" / "records" / "fooling_rate.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["extra"]["per_participant"] = "none"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "no list of fractions" in refused(cgeval("compare", "--agreement"), tmp_path)
