"""A hosted study in other programs' forms: the AMT tool's, jsPsych's, lme4's.

The rates of amt.csv are held against a telling of the tool's counting rule in our own words (`tool_rates`). The tool's
program itself (phillipi/AMT_Real_vs_Fake, process_csv.py of commit f488d04) was run by hand on an export of a rehearsed
study, 20 people for each of two algorithms, 10 practice, 40 scored and 2 catch trials: 14.63 % and 36.63 %, where ours
are 0.14625 and 0.36625; and 3.72 and 4.87 for its plus-minus, where ours are 3.65 and 4.72 (both are simulated).
So were studies of one algorithm, asked for the fake (40.48 %, ours 0.40476), and one called 00 (45.24 %, ours 0.45238).
"""

import csv
import json
import re
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text

from cgeval.errors import RunError
from study_server.analysis.analysis import Choices, analyse
from study_server.exchange.amt_export import write_amt
from study_server.exchange.amt_import import Reading, import_amt
from study_server.exchange.export import export_study
from study_server.exchange.jspsych import write_jspsych
from study_server.exchange.lme4 import COLUMNS, write_lme4
from study_server.judged import Judged, read_judged
from study_server.sessions import lifecycle
from study_server.sessions.study import Study, open_study
from study_server.store.models import Trial
from tests.study_server.exchange.amt_files import Line, judged, tool_rates, write_results
from tests.study_server.operating.answered import ALL, SCORED, copied, some_come
from tests.study_server.sessions.people import Person
from tests.study_server.small_study import small_study

PRACTICE = ALL - SCORED - 1
RULES = {"one_sided_share": 1.0, "catch_wrong": 6, "fast_ms": 0}  # nobody goes


def people_come(study: Study, count: int) -> None:
    """The first of an arm is fooled in one scored trial, the second in two, ...; in the second arm in one more."""
    came: Counter[str] = Counter()
    for number in range(count):
        one = Person(study, f"person-{number}").come()
        with study.database.read() as found:
            session = lifecycle.known(found, one.token, None)
            arm, columns = session.arm, (Trial.position, Trial.phase, Trial.real_side, Trial.asked)
            query = select(*columns).where(Trial.session_id == session.id).order_by(Trial.position)
            trials = found.execute(query).all()
        came[arm] += 1
        left = came[arm] + study.manifest.arms.index(arm)
        for trial in trials:
            is_fooled = trial.phase != "scored" or left > 0
            left -= trial.phase == "scored"
            sides = ["left", "right"] if trial.real_side == "left" else ["right", "left"]
            one.trial(trial.position, sides[is_fooled == (trial.asked == "real")])
        lifecycle.questionnaire(study, one.token, one.client, {})


def rates(found: Judged) -> dict[str, float]:
    choices = Choices(found.rules, resamples=10, permutations=10)
    return {name: estimate.rate for name, estimate in analyse(found.judgements, choices).estimates.items()}


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


@pytest.fixture(
    scope="module", params=[("zhu2017", ("one", "two")), ("isola2017", ("one", "two")), ("zhu2017", ("00",))]
)
def answered(request, tmp_path_factory) -> Path:
    """Of both questions, and of a single algorithm whose name sorts before most."""
    preset, arms = request.param
    trials = {"practice": 3, "scored": 6, "catch": 1 if len(arms) > 1 else 0}
    wanted = {"participants": {"per_algorithm": 4}, "exclusions": RULES}
    folder = small_study(tmp_path_factory.mktemp("answered"), arms, 20, preset=preset, trials=trials, **wanted)
    with closing(open_study(folder)) as opened:
        people_come(opened, 3 * len(arms))
    return folder


@pytest.fixture
def other(answered, tmp_path):
    opened = open_study(copied(answered, tmp_path))
    yield opened
    opened.close()


def test_the_tool_s_program_gives_our_rates(other, tmp_path):
    found = read_judged(other.folder)
    write_amt(found, tmp_path)
    theirs = tool_rates(tmp_path / "amt.csv", 3, other.config.length)
    assert {name: rate for name, rate in theirs.items() if name != "vigilance"} == pytest.approx(rates(found))
    assert ("vigilance" in theirs) == (other.config.trials.catch > 0)
    assert rates(found) == pytest.approx({arm: (2 + i) / 6 for i, arm in enumerate(other.manifest.arms)})


def test_there_and_back_the_rates_are_the_same(other, tmp_path):
    found = read_judged(other.folder)
    write_amt(found, tmp_path)
    import_amt([tmp_path / "amt.csv"], tmp_path / "back", Reading(practice=3))
    back = read_judged(tmp_path / "back")
    assert rates(back) == pytest.approx(rates(found))
    for one, two in ((found.judgements, back.judgements),):
        assert sorted(one.per_participant(one.fooled)) == sorted(two.per_participant(two.fooled))
        assert sorted(one.phase) == sorted(two.phase)
        assert sorted(one.real_left) == sorted(two.real_left)


def test_who_did_not_finish_or_is_excluded_is_left_out_and_told(study, tmp_path):
    some_come(study)
    with pytest.raises(RunError, match="no finished session without exclusions"):
        write_amt(read_judged(study.folder), tmp_path)  # who clicks left in every trial is excluded
    assert not (tmp_path / "amt.csv").exists()
    study.folder.joinpath("study.toml").write_text(
        study.folder.joinpath("study.toml").read_text().replace("one_sided_share = 0.95", "one_sided_share = 1.0")
    )
    one = Person(study, "another").come()
    for position in range(ALL):
        one.trial(position, ["left", "right"][position % 2])
    lifecycle.questionnaire(study, one.token, one.client, {})
    told = write_amt(read_judged(study.folder), tmp_path)
    assert told[0].startswith(f"{len(rows_of(tmp_path / 'amt.csv'))} sessions; left out")
    assert "3 not finished" in told[0]
    assert told[1] == f"python process_csv.py -f amt.csv --N_practice {PRACTICE} --N_imgs {ALL}"


def test_a_session_with_a_missing_answer_is_left_out(other, tmp_path):
    with other.database.write() as change:
        change.execute(text("DELETE FROM answers WHERE id = (SELECT max(id) FROM answers)"))
    told = write_amt(read_judged(other.folder), tmp_path)
    everybody = len(read_judged(other.folder).judgements.participants)
    assert f"{everybody - 1} sessions" in told[0]
    assert "1 without an answer to every trial" in told[0]


def test_folders_of_the_tool(other, tmp_path):
    write_amt(read_judged(other.folder), tmp_path)
    rows = rows_of(tmp_path / "amt.csv")
    folders = {
        row[f"Input.images_{side}{number}"].rpartition("/")[0]
        for row in rows for side in ("left", "right") for number in range(other.config.length)
    }  # fmt: skip
    real = "!real" if "00" in other.manifest.arms else "00_real"
    assert min(folders) == real
    assert folders - {real, "vigilance"} == set(other.manifest.arms)
    for row in rows:
        for number in range(other.config.length):
            side = row[f"Input.gt_side{number}"]
            assert row[f"Input.images_{side}{number}"].startswith(f"{real}/")


def test_jspsych_s_names(study, tmp_path):
    some_come(study)
    told = write_jspsych(study.database, study.manifest, tmp_path)
    sessions = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("jspsych-*.json"))]
    assert sorted(len(trials) for trials in sessions) == [2, ALL]
    assert f"2 sessions, {ALL + 2} trials" in told[0]
    done = max(sessions, key=len)
    assert [trial["trial_index"] for trial in done] == list(range(ALL))
    for trial in done:
        assert {"rt", "response", "stimulus", "trial_type", "trial_index", "time_elapsed", "plugin_version"} <= set(
            trial
        )
        assert (trial["rt"], trial["response"], trial["trial_type"]) == (400.0, "left", "real-vs-fake")
        assert trial["correct"] == (trial["real_side"] == "left") != trial["fooled"]
        assert trial["stimulus"][["left", "right"].index(trial["real_side"])].startswith("real/")
    assert {trial["session_state"] for trial in min(sessions, key=len)} == {"MAIN"}


def test_a_trial_that_was_seen_and_not_answered_is_null_in_jspsych_s_form(study, tmp_path):
    Person(study, "one").come().begin(0)
    write_jspsych(study.database, study.manifest, tmp_path)
    (file,) = tmp_path.glob("jspsych-*.json")
    (trial,) = json.loads(file.read_text())
    assert (trial["rt"], trial["response"], trial["answered"]) == (None, None, False)


def test_lme4_has_every_scored_trial_and_names_the_rule(study, tmp_path):
    some_come(study)
    told = write_lme4(read_judged(study.folder), tmp_path)
    rows = rows_of(tmp_path / "lme4.csv")
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == SCORED
    assert {row["excluded_by"] for row in rows} == {"one side"}
    assert f"{SCORED} scored trials, {SCORED} of them excluded" in told[0]
    for row in rows:
        assert (row["clicked"], row["asked"], row["rt_ms"]) == ("left", "real", "400")
        assert row["fooled"] == str(int(row["real_side"] == "right"))
        assert row["image"].startswith(f"{row['algorithm']}/")


def test_lme4_s_rates_are_ours(other, tmp_path):
    found = read_judged(other.folder)
    write_lme4(found, tmp_path)
    rows = rows_of(tmp_path / "lme4.csv")
    assert {row["excluded_by"] for row in rows} == {""}
    for arm, rate in rates(found).items():
        fooled = [int(row["fooled"]) for row in rows if row["algorithm"] == arm]
        assert sum(fooled) / len(fooled) == pytest.approx(rate)


def test_in_lme4_s_table_of_an_import_a_worker_is_one_participant(tmp_path):
    mixed = [*judged("a", [True, True]), *judged("b", [False, None], first=2)]
    import_amt([write_results(tmp_path / "r.csv", [Line("W", mixed)])], tmp_path / "study", Reading())
    (tmp_path / "out").mkdir()
    write_lme4(read_judged(tmp_path / "study"), tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "lme4.csv")
    assert [(row["participant"], row["algorithm"], row["fooled"], row["rt_ms"]) for row in rows] == [
        ("p001", "a", "1", ""), ("p001", "a", "1", ""), ("p001", "b", "0", "")
    ]  # fmt: skip


def test_the_r_script_is_closed_and_reads_the_table_s_columns(study, tmp_path):
    """R is not needed to see that every bracket is closed and that no column is asked for that is not there."""
    write_lme4(read_judged(study.folder), tmp_path)
    code = "\n".join(line.partition("#")[0] for line in (tmp_path / "lme4.R").read_text().splitlines())
    code = re.sub(r'"[^"\n]*"', '""', code)
    opened = []
    for sign in re.findall(r"[()\[\]{}]", code):
        if sign in "([{":
            opened.append(sign)
        else:
            assert opened.pop() + sign in ("()", "[]", "{}")
    assert opened == []
    assert set(re.findall(r"trials\$(\w+)", code)) <= set(COLUMNS)
    assert "fooled ~ 0 + algorithm + (1 | participant) + (1 | image)" in code


@pytest.mark.parametrize("form", ["amt", "jspsych", "lme4"])
def test_a_form_may_replace_another_one_and_nothing_else(other, tmp_path, form):
    export_study(other, None, tmp_path / "out", "jspsych", overwrite=False)
    files, told = export_study(other, None, tmp_path / "out", form, overwrite=True)
    assert sorted((tmp_path / "out").iterdir()) == files
    assert told
    assert all(file.name.startswith(form) for file in files)
