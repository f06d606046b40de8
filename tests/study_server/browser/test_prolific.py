"""From Prolific and back: every way in which a session ends leads there by its own completion code, and at once only
when the server has said so.
"""

import pytest

from tests.study_server.browser.visitor import WORDS

CODES = {
    "prolific_code_completed": "CDONE",
    "prolific_code_declined": "CDECLINED",
    "prolific_code_screened_out": "CSCREENED",
}
COME = "?PROLIFIC_PID=0123456789abcdef01234567&STUDY_ID=S1&SESSION_ID=T1"
BACK = "https://app.prolific.com/submissions/complete?cc="
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def went_back(visit):
    """A person at a browser for whom Prolific is a page that says so, and the addresses there that were opened."""

    def come(**settings):
        visitor, opened = visit(**settings), []

        def platform(route):
            opened.append(route.request.url)
            route.fulfill(body="Prolific", content_type="text/html")

        visitor.page.context.route("https://app.prolific.com/**", platform)
        return visitor, opened

    return come


@pytest.fixture
def served(study):
    trials = {"practice": 0, "scored": 2, "break_after": 0}
    return study(trials=trials, entry={"platform": "prolific", **CODES}, participants={"phones": "block"})


def to_the_screen(visitor, url):
    visitor.enter(url + COME)
    visitor.consent()
    visitor.press("go_on")
    visitor.press("go_on")


@pytest.mark.slow
def test_who_is_done_is_taken_back_with_the_code_that_is_shown_too(served, went_back):
    visitor, opened = went_back()
    to_the_screen(visitor, served.url)
    visitor.start("main")
    visitor.answer()
    visitor.part("exposure")
    visitor.answer()
    assert visitor.finish() == "CDONE"
    assert visitor.page.get_by_role("link", name=WORDS["done_redirect_now"]).get_attribute("href") == f"{BACK}CDONE"
    assert not visitor.page.get_by_text(WORDS["done_close"]).count()
    assert opened == []  # there is time to read
    assert len(served.rows()) == 2
    visitor.page.get_by_text("Prolific", exact=True).wait_for()
    assert opened == [f"{BACK}CDONE"]


@pytest.mark.slow
def test_who_is_done_and_opens_the_link_again_is_refused_with_the_code_and_the_way_back(served, went_back):
    visitor, _ = went_back()
    to_the_screen(visitor, served.url)
    visitor.start("main")
    for _ in range(2):
        visitor.answer()
    visitor.finish()
    again = type(visitor)(visitor.page.context.new_page())
    again.enter(served.url + COME)
    again.on("already_done")
    assert again.page.locator("#code").inner_text() == "CDONE"
    link = again.page.get_by_role("link", name=WORDS["done_redirect_now"])
    assert link.get_attribute("href") == f"{BACK}CDONE"
    assert len(served.rows()) == 2


def test_who_declines_is_taken_back_with_the_code_for_it(served, went_back):
    visitor, opened = went_back()
    visitor.enter(served.url + COME)
    visitor.on("consent")
    visitor.press("consent_decline")
    visitor.on("declined")
    assert not visitor.page.locator("#code").count()
    visitor.page.get_by_role("link", name=WORDS["done_redirect_now"]).click()
    visitor.page.get_by_text("Prolific", exact=True).wait_for()
    assert opened == [f"{BACK}CDECLINED"]


def test_who_is_screened_out_is_taken_back_with_the_code_for_it(served, went_back):
    visitor, opened = went_back(**PHONE)
    to_the_screen(visitor, served.url)
    visitor.on("screened_out")
    assert not visitor.page.get_by_text(WORDS["screened_out_larger"]).count()
    visitor.page.get_by_role("link", name=WORDS["done_redirect_now"]).click()
    visitor.page.get_by_text("Prolific", exact=True).wait_for()
    assert opened == [f"{BACK}CSCREENED"]


def test_who_does_not_come_from_there_is_told(served, visit):
    visitor = visit()
    visitor.enter(served.url)
    visitor.on("bad_link")
    assert served.codes() == []
