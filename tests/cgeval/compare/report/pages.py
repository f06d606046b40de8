"""A report's HTML goes in; what a test wants to know of it comes out: elements, attributes, drawings, numbers."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "col", "br", "hr"}


@dataclass
class Element:
    """A start tag with its attributes, what it stands in, and the text inside."""

    tag: str
    attributes: dict[str, str]
    above: tuple[str, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements in their order; raises ValueError where tags do not close as they open."""

    source: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self.open: list[Element] = []
        self.feed(self.source)
        self.close()
        if self.open:
            raise ValueError(f"<{self.open[-1].tag}> is not closed")

    def handle_starttag(self, tag, attrs):
        element = Element(tag, {k: v or "" for k, v in attrs}, tuple(each.tag for each in self.open))
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(Element(tag, {k: v or "" for k, v in attrs}, tuple(each.tag for each in self.open)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop().tag != tag:
            raise ValueError(f"</{tag}> closes something else, at {self.getpos()}")

    def handle_data(self, data):
        for element in self.open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """Elements of these kinds."""
        return [each for each in self.elements if each.tag in tags]

    @property
    def text(self) -> str:
        """What is read, in one line; not the style sheet."""
        (body,) = self.all("body")
        return " ".join(body.text.split())

    @property
    def numbers(self) -> list[tuple[float, str]]:
        """Each exact value with the digits that are shown for it."""
        return [(float(each.attributes["value"]), each.text) for each in self.all("data")]

    @property
    def drawings(self) -> list[str]:
        """Every outermost <svg> as it stands in the file."""
        found, depth, start = [], 0, 0
        for match in re.finditer(r"<svg\b|</svg>", self.source):
            if match[0] == "<svg":
                start = match.start() if depth == 0 else start
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    found.append(self.source[start : match.end()])
        return found


def page_of(path: Path) -> Page:
    """The file, parsed."""
    return Page(path.read_text(encoding="utf-8"))
