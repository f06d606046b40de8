"""A whole session in a real browser, and everything that people do to a page on the way."""

import pytest

from tests.study_server.browser.visitor import WORDS

pytestmark = pytest.mark.slow

FRAME_MS = 1000 / 60
SHOWN_MS = 200


@pytest.mark.parametrize("keyboard", [False, True], ids=["mouse", "keyboard"])
def test_a_whole_session_is_taken_and_every_answer_stored_as_it_was_given(study, visit, keyboard):
    served = study()
    visitor = visit(keyboard)
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.answer("right")
    visitor.part("feedback")
    assert visitor.page.locator("figure.real b").inner_text() == WORDS["feedback_is_real"]
    assert visitor.page.locator("figure.fake b").inner_text() == WORDS["feedback_is_fake"]
    visitor.start("main")
    assert visitor.page.locator(".progress span").inner_text() == "1 of 4"
    visitor.answer("left")
    visitor.answer("right")
    visitor.on("break")
    visitor.press("go_on")
    visitor.answer("left")
    visitor.answer("right")
    code = visitor.finish()
    assert served.codes() == [code]
    rows = served.rows()
    assert [row["clicked"] for row in rows] == ["right", "left", "right", "left", "right"]
    assert {row["input"] for row in rows} == {"keyboard" if keyboard else "mouse"}
    for row in rows:
        assert [one["side"] for one in row["measurements"]["exposures"]] == ["left", "right"]
        assert 0 < row["rt_ms"] < 10_000
        assert row["measurements"]["visible"] is True
        assert row["measurements"]["screen"] == {"width_px": 1000, "height_px": 800, "dpr": 1}


COUNT = """
() => {
  window.seen = [];
  const look = () => {
    for (const [i, canvas] of [...document.querySelectorAll(".trial[data-part=exposure] canvas")].entries()) {
      if (canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3]) window.seen.push(i);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""


def test_exposures_last_as_long_as_the_study_says_to_within_a_frame(study, visit):
    served = study()
    visitor = visit()
    visitor.to_practice(served.url)
    visitor.page.evaluate(COUNT)
    visitor.start("practice")
    visitor.answer()
    visitor.part("feedback")
    exposures = served.rows()[0]["measurements"]["exposures"]
    for exposure in exposures:
        assert abs(exposure["offset_ms"] - exposure["onset_ms"] - SHOWN_MS) <= FRAME_MS
        assert exposure["longest_gap_ms"] < 50
    seen = visitor.page.evaluate("window.seen")  # by an eye of its own, frame by frame
    assert seen == sorted(seen)
    for side, exposure in enumerate(exposures):
        assert abs(seen.count(side) - exposure["frames"]) <= 1


def test_both_images_at_once_is_one_exposure(study, visit):
    served = study(preset="simultaneous")
    visitor = visit()
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.answer()
    visitor.part("feedback")
    assert [one["side"] for one in served.rows()[0]["measurements"]["exposures"]] == ["both"]


@pytest.mark.parametrize("how", ["reload", "back"])
def test_leaving_at_the_question_leads_straight_to_it_without_a_second_look(study, visit, how):
    served = study()
    visitor = visit()
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.part("question")
    if how == "reload":
        visitor.page.reload()
    else:
        visitor.page.goto("about:blank")
        visitor.page.go_back()
    visitor.part("question")
    assert visitor.page.get_by_text(WORDS["seen_before"]).is_visible()
    visitor.answer()
    visitor.part("feedback")
    (row,) = served.rows()
    assert row["measurements"]["exposures"] == []
    assert "reloaded" in row["flags"]


def test_a_reload_between_trials_goes_on_where_it_was(study, visit):
    served = study()
    visitor = visit()
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.answer()
    visitor.on("main")
    visitor.page.reload()
    visitor.start("main")
    visitor.answer()
    visitor.part("exposure")
    visitor.page.reload()
    visitor.part("question")
    visitor.answer()
    visitor.on("back")
    visitor.press("go_on")
    visitor.answer()
    visitor.part("exposure")
    assert [row["position"] for row in served.rows()] == [0, 1, 2, 3]


def test_a_second_tab_takes_over_and_the_first_one_can_take_it_back_with_its_answer(study, visit):
    served = study()
    first = visit()
    first.to_practice(served.url)
    first.start("practice")
    first.part("question")
    with first.page.context.expect_page() as opened:
        first.page.evaluate("open(location.href, '_blank')")  # a copy of the session's storage, as a duplicated tab has
    second = type(first)(opened.value)
    second.part("question")
    first.answer("right")
    first.on("taken_over")
    first.press("taken_over_go_on")
    first.on("main")  # the answer that was refused is not asked for again
    assert [row["clicked"] for row in served.rows()] == ["right"]
    second.press("choice_left")
    second.on("taken_over")
    assert len(served.rows()) == 1


def test_a_double_click_is_one_answer_and_presses_nothing_that_comes_after_it(study, visit):
    served = study(trials={"practice": 0, "break_after": 1})
    visitor = visit()
    visitor.enter(served.url)
    visitor.consent()
    visitor.press("go_on")
    visitor.press("go_on")
    visitor.start("main")
    visitor.part("question")
    visitor.page.get_by_role("button", name=WORDS["choice_left"]).dblclick()
    visitor.on("break")
    assert len(served.rows()) == 1


def test_a_lost_connection_is_told_and_the_answer_arrives_once_it_is_back(study, visit):
    served = study()
    visitor = visit()
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.part("question")
    visitor.page.context.set_offline(True)
    visitor.answer("right")
    visitor.page.get_by_text(WORDS["connection_lost"]).wait_for()
    assert served.rows() == []
    visitor.page.context.set_offline(False)
    visitor.part("feedback")
    visitor.page.get_by_text(WORDS["connection_back"]).wait_for()
    assert [row["clicked"] for row in served.rows()] == ["right"]


def test_a_reply_that_got_lost_is_asked_for_again_and_the_answer_stays_one(study, visit):
    served = study()
    visitor = visit()
    attempts = []

    def lose_the_first_reply(route):
        attempts.append(route.request.post_data_json["attempt"])
        if len(attempts) > 1:
            return route.continue_()
        route.fetch()
        return route.abort()

    visitor.page.route("**/answer", lose_the_first_reply)
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.answer("left")
    visitor.part("feedback")
    assert len(attempts) == 2
    assert len(set(attempts)) == 1
    assert len(served.rows()) == 1


def test_an_answer_that_waits_for_the_connection_survives_a_reload(study, visit):
    served = study()
    visitor = visit()
    visitor.page.route("**/answer", lambda route: route.abort())
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.answer("right")
    visitor.page.get_by_text(WORDS["connection_lost"]).wait_for()
    visitor.page.unroute("**/answer")
    visitor.page.reload()
    visitor.on("main")
    assert [row["clicked"] for row in served.rows()] == ["right"]


HIDE = """
() => {
  Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


def test_a_page_that_was_hidden_shows_the_image_no_longer_and_says_so(study, visit):
    served = study(exposure={"shown_ms": 600})
    visitor = visit()
    visitor.to_practice(served.url)
    visitor.start("practice")
    visitor.page.wait_for_function(
        "() => document.querySelector('canvas')?.getContext('2d').getImageData(9, 9, 1, 1).data[3] > 0"
    )
    visitor.page.evaluate(HIDE)
    visitor.page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    visitor.answer()
    visitor.part("feedback")
    (row,) = served.rows()
    assert row["measurements"]["visible"] is False
    assert row["measurements"]["exposures"][0]["offset_ms"] - row["measurements"]["exposures"][0]["onset_ms"] < 590
    assert "hidden" in row["flags"]
