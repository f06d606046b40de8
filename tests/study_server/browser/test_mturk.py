"""Inside Mechanical Turk's frame: the study has a tab of its own, and the frame hands the work in."""

from urllib.parse import parse_qs, urlencode

import pytest

from tests.study_server.browser.visitor import WORDS

THERE = "https://workersandbox.mturk.com"
ACCEPTED = {"assignmentId": "A1", "hitId": "H1", "workerId": "W1", "turkSubmitTo": THERE}
PREVIEW = {"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", "hitId": "H1"}


def framed(visitor, served, query):
    """The study in the platform's page, and the forms that are handed in there."""
    handed_in = []

    def platform(route):
        if route.request.url.endswith("/mturk/externalSubmit"):
            handed_in.append(parse_qs(route.request.post_data))
            return route.fulfill(body="thanks", content_type="text/html")
        address = f"{served.url}?{urlencode(query)}"
        return route.fulfill(body=f'<iframe src="{address}" width="900" height="700">', content_type="text/html")

    visitor.page.context.route(f"{THERE}/**", platform)
    visitor.page.goto(f"{THERE}/task")
    return visitor.page.frame_locator("iframe"), handed_in


def opened_from(frame, visitor):
    """The study's own tab."""
    with visitor.page.context.expect_page() as opened:
        frame.get_by_role("link", name=WORDS["frame_open"]).click()
    return type(visitor)(opened.value)


@pytest.mark.slow
def test_the_frame_opens_a_tab_waits_for_it_and_hands_in(study, visit):
    served = study(trials={"practice": 0, "scored": 2, "break_after": 0}, entry={"platform": "mturk"})
    visitor = visit(permissions=["local-network-access"])
    frame, handed_in = framed(visitor, served, ACCEPTED)
    tab = opened_from(frame, visitor)
    tab.consent()
    tab.press("go_on")
    tab.press("go_on")
    tab.start("main")
    tab.answer()
    tab.part("exposure")
    tab.page.reload()  # a reload is one here too
    tab.answer()
    tab.on("questionnaire")
    tab.press("questions_send")
    tab.page.get_by_text(WORDS["done_frame"]).wait_for()
    frame.get_by_text("thanks").wait_for()
    assert handed_in == [{"assignmentId": ["A1"], "session": served.sessions()}]
    assert len(served.rows()) == 2
    assert len(served.codes()) == 1


def test_before_the_task_is_accepted_the_frame_says_what_it_is_about(study, visit):
    served = study(entry={"platform": "mturk"})
    visitor = visit(permissions=["local-network-access"])
    frame, _ = framed(visitor, served, PREVIEW)
    frame.get_by_text(WORDS["preview_text"]).wait_for()
    assert frame.get_by_text(WORDS["welcome_text"]).is_visible()
    assert served.codes() == []


def test_who_declines_is_asked_to_return_the_task_in_the_tab_and_in_the_frame(study, visit):
    served = study(entry={"platform": "mturk"})
    visitor = visit(permissions=["local-network-access"])
    frame, handed_in = framed(visitor, served, ACCEPTED)
    tab = opened_from(frame, visitor)
    tab.on("consent")
    tab.press("consent_decline")
    tab.page.get_by_text(WORDS["frame_return"]).wait_for()
    frame.get_by_text(WORDS["frame_return"]).wait_for()
    assert handed_in == []
