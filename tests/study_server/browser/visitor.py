"""Somebody who takes part, by mouse or by keyboard: what a test wants done goes in, the page has been led there."""

from dataclasses import dataclass

from playwright.sync_api import Page

from study_server.texts import words

WORDS = words("en")


@dataclass
class Visitor:
    """One page, and how it is dealt with."""

    page: Page
    keyboard: bool = False

    def on(self, screen: str) -> None:
        self.page.wait_for_selector(f"#page[data-screen={screen}]")

    def part(self, part: str) -> None:
        self.page.wait_for_selector(f".trial[data-part={part}]")

    def press(self, key: str, **values: object) -> None:
        button = self.page.get_by_role("button", name=WORDS[key].format(**values), exact=True)
        if not self.keyboard:
            return button.click()
        button.is_enabled() or button.click(trial=True)  # wait until it takes a press
        for _ in range(12):
            self.page.keyboard.press("Tab")
            if button.evaluate("node => node === document.activeElement"):
                return self.page.keyboard.press("Enter")
        raise AssertionError(f"no number of tabs leads to {WORDS[key]!r}")

    def enter(self, url: str) -> None:
        self.page.goto(url)
        self.on("welcome")
        self.press("language")

    def consent(self) -> None:
        self.on("consent")
        box = self.page.get_by_role("checkbox")
        if self.keyboard:
            box.focus()
            self.page.keyboard.press("Space")
        else:
            box.check()
        self.press("consent_agree")

    def to_practice(self, url: str) -> None:
        """Up to the first question's introduction."""
        self.enter(url)
        self.consent()
        self.on("instructions")
        self.press("go_on")
        self.on("device")
        self.press("go_on")
        self.on("practice")

    def start(self, phase: str) -> None:
        self.on(phase)
        self.press(f"{phase}_start")

    def answer(self, side: str = "left") -> None:
        self.part("question")
        if self.keyboard:
            self.page.keyboard.press({"left": "ArrowLeft", "right": "j"}[side])
        else:
            self.press(f"choice_{side}")

    def finish(self) -> str:
        """From the questionnaire to the code."""
        self.on("questionnaire")
        self.press("questions_send")
        self.on("done")
        return self.page.locator("#code").inner_text()
