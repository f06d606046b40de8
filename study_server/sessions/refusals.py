"""Why a participant's request is not granted: a status of HTTP, a word for the page, and a sentence."""


class RefusedError(Exception):
    """A request that changes nothing. code: a word that the page knows, such as "taken_over"; status: of HTTP."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence
