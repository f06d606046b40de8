"""Who comes in, who does not, and in which language."""

import pytest

from study_server.texts import words
from tests.study_server.browser.visitor import WORDS


def test_declining_ends_it_and_asks_for_nothing(study, visit):
    served = study()
    visitor = visit()
    visitor.enter(served.url)
    visitor.on("consent")
    visitor.press("consent_decline")
    visitor.on("declined")
    visitor.page.reload()
    visitor.on("declined")


def test_nobody_agrees_without_being_old_enough(study, visit):
    served = study()
    visitor = visit()
    visitor.enter(served.url)
    visitor.on("consent")
    visitor.press("consent_agree")
    assert visitor.page.get_by_role("alert").inner_text() == WORDS["consent_age_missing"]
    assert visitor.page.get_by_role("checkbox").evaluate("node => node === document.activeElement")


def test_chinese_is_chinese_throughout(study, visit):
    served = study()
    visitor = visit()
    visitor.page.goto(served.url)
    visitor.page.get_by_role("button", name=words("zh")["language"]).click()
    visitor.on("consent")
    assert visitor.page.locator("html").get_attribute("lang") == "zh"
    assert visitor.page.get_by_role("heading", level=1).inner_text() == words("zh")["consent_heading"]


def test_who_chose_chinese_is_refused_in_chinese(study, visit):
    served = study(entry={"platform": "links"})
    visitor = visit(locale="en-GB")
    visitor.page.goto(served.url)
    visitor.page.get_by_role("button", name=words("zh")["language"]).click()
    visitor.on("bad_link")
    assert visitor.page.get_by_role("heading", level=1).inner_text() == words("zh")["bad_link_heading"]


def test_a_study_may_be_called_otherwise_in_chinese(study, visit):
    served = study(about={"title": "Which zebra?"}, texts={"zh": {"title": "哪匹斑马？"}})
    visitor = visit(locale="zh-CN")
    visitor.page.goto(served.url)
    visitor.on("welcome")
    assert visitor.page.get_by_role("banner").inner_text() == visitor.page.title() == "哪匹斑马？"
    visitor.page.get_by_role("button", name=WORDS["language"]).click()
    visitor.on("consent")
    assert visitor.page.get_by_role("banner").inner_text() == visitor.page.title() == "Which zebra?"


def test_one_language_needs_no_choice(study, visit):
    served = study(about={"languages": ["zh"]})
    visitor = visit()
    visitor.page.goto(served.url)
    visitor.page.get_by_role("button", name=words("zh")["welcome_start"]).click()
    visitor.on("consent")


def test_an_age_below_the_one_that_was_agreed_to_is_taken_for_a_slip(study, visit):
    served = study(participants={"demographics": True, "minimum_age": 18})
    visitor = visit()
    visitor.enter(served.url)
    visitor.consent()
    visitor.on("about")
    visitor.page.get_by_label(WORDS["about_age"]).fill("3")
    visitor.press("go_on")
    told = visitor.page.get_by_role("alert").inner_text()
    assert told == WORDS["about_age_wrong"].format(low=18, high=120)
    visitor.page.get_by_label(WORDS["about_age"]).fill("33")
    visitor.press("go_on")
    visitor.on("instructions")


def test_the_page_without_script_says_what_it_needs(study, visit):
    served = study()
    visitor = visit(java_script_enabled=False)
    visitor.page.goto(served.url)
    assert WORDS["noscript"] in visitor.page.content()


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_is_wider_than_the_screen_and_every_button_can_be_hit(study, visit, width):
    served = study()
    visitor = visit()
    visitor.page.set_viewport_size({"width": width, "height": 740})

    def fits():
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = [button.bounding_box() for button in visitor.page.get_by_role("button").all()]
        assert min(min(size["width"], size["height"]) for size in sizes) >= 44

    visitor.page.goto(served.url)
    visitor.on("welcome")
    fits()
    visitor.press("language")
    visitor.on("consent")
    fits()
    visitor.consent()
    visitor.on("instructions")
    fits()
    visitor.press("go_on")
    visitor.on("device")
    visitor.press("go_on")
    visitor.start("practice")
    visitor.part("question")
    fits()
    below = visitor.page.get_by_role("button", name=WORDS["choice_left"]).bounding_box()
    assert below["y"] + below["height"] <= 740  # the answer needs no scrolling


def test_nobody_takes_part_twice(study, visit):
    served = study(trials={"practice": 0, "scored": 2, "break_after": 0})
    visitor = visit()
    visitor.enter(served.url)
    visitor.consent()
    visitor.press("go_on")
    visitor.press("go_on")
    visitor.start("main")
    visitor.answer()
    visitor.part("exposure")
    visitor.answer()
    code = visitor.finish()
    visitor.page.reload()
    visitor.on("done")
    assert visitor.page.locator("#code").inner_text() == code
    again = type(visitor)(visitor.page.context.new_page())
    again.enter(served.url)
    again.on("already_done")
    assert len(served.codes()) == 1


def test_the_same_person_in_a_second_tab_goes_on_there_and_can_come_back(study, visit):
    served = study()
    first = visit()
    first.to_practice(served.url)
    second = type(first)(first.page.context.new_page())
    second.enter(served.url)
    second.on("practice")
    first.press("practice_start")
    first.on("taken_over")
    first.press("taken_over_go_on")
    first.press("language")
    first.on("practice")
    assert len(served.codes()) == 1


@pytest.mark.parametrize("query", ["", "?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=H"])
def test_a_preview_shows_that_it_is_one_and_stores_nothing(study, visit, query):
    served = study(entry={"platform": "mturk"})
    visitor = visit()
    visitor.enter(served.url + query)
    visitor.on("preview")
    assert visitor.page.get_by_text(WORDS["welcome_text"]).is_visible()  # what it is about
    assert served.codes() == []


def test_a_link_that_is_none_is_told(study, visit):
    served = study(entry={"platform": "links"})
    visitor = visit()
    visitor.enter(served.url + "?p=somebody&s=nothing")
    visitor.on("bad_link")
    assert served.codes() == []


@pytest.mark.parametrize(("policy", "screen"), [("allow", "practice"), ("flag", "practice"), ("block", "screened_out")])
def test_a_phone_goes_the_way_of_the_policy(study, visit, policy, screen):
    served = study(participants={"phones": policy})
    visitor = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visitor.enter(served.url)
    visitor.consent()
    visitor.press("go_on")
    visitor.press("go_on")
    visitor.on(screen)
