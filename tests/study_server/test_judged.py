"""What the database holds, as the arrays that are analysed: against a plain loop over its rows."""

from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import delete, select

from study_server.analysis.judgements import PHASES
from study_server.judged import INVALID, read_judged
from study_server.sessions.study import open_study
from study_server.store.models import Answer, Session, Trial
from tests.study_server.sessions.people import Person
from tests.study_server.small_study import small_study

FLAGS = ([], ["exposure"], ["reloaded"], ["hidden", "reloaded"], ["unseen"], ["visible"])


def answered(folder, database_url) -> list[tuple]:
    """Sessions with all kinds of answers; their rows by a plain loop, in order."""
    with closing(open_study(folder, database_url)) as study:
        for name in ("one", "two", "three"):
            Person(study, name).come().finish()
        Person(study, "declined").enter().consent(agreed=False)
        with study.database.write() as found:
            for number, answer in enumerate(found.scalars(select(Answer).order_by(Answer.trial_id))):
                answer.clicked = ("left", "right")[number % 3 == 0]
                answer.chose_real = answer.clicked == found.get_one(Trial, answer.trial_id).real_side
                answer.flags = FLAGS[number % len(FLAGS)]
                answer.rt_ms = None if number % 4 == 0 else 500.0 + number
            found.execute(delete(Answer).where(Answer.trial_id == found.scalar(select(Trial.id).limit(1))))
        with study.database.read() as found:
            return [
                _row(session, trial)
                for session in found.scalars(select(Session).where(Session.state == "DONE").order_by(Session.id))
                for trial in session.trials
            ]


def _row(session: Session, trial: Trial) -> tuple:
    answer = trial.answer
    place = (session.public_id, trial.pair_id, trial.position, trial.phase, trial.real_side == "left")
    if answer is None:
        return (*place, False, False, False, None, None, False)
    fooled = answer.chose_real != (trial.asked == "real")
    invalid = any(flag in INVALID for flag in answer.flags)
    return (*place, True, answer.clicked == "left", fooled, answer.rt_ms, answer.shown_ms, invalid)


@pytest.mark.parametrize("preset", ["zhu2017", "isola2017"])
def test_the_arrays_hold_what_the_rows_say(tmp_path, database_url, preset, monkeypatch):
    monkeypatch.setattr("study_server.judged.AT_ONCE", 4)  # several blocks
    folder = small_study(tmp_path, pairs=12, trials={"practice": 1, "scored": 4, "catch": 1}, preset=preset)
    rows = answered(folder, database_url)
    found = read_judged(folder, database_url).judgements
    arrays = [
        (
            found.participants[found.participant[i]],
            found.images[found.image[i]],
            int(found.index[i]),
            PHASES[found.phase[i]],
            bool(found.real_left[i]),
            bool(found.answered[i]),
            bool(found.clicked_left[i]),
            bool(found.fooled[i]),
            None if np.isnan(found.rt_ms[i]) else float(found.rt_ms[i]),
            None if np.isnan(found.shown_ms[i]) else float(found.shown_ms[i]),
            bool(found.invalid[i]),
        )
        for i in range(len(found))
    ]
    assert len(rows) == 3 * 6
    assert arrays == rows
    assert {row[-1] for row in rows} == {row[7] for row in rows} == {True, False}


def test_a_study_without_an_answer_has_none(tmp_path, database_url):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 1, "scored": 4})
    found = read_judged(folder, database_url).judgements
    assert (len(found), found.participants) == (0, ())
    assert found.arms == ("one", "two")
