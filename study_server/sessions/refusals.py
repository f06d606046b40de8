"""Why a participant's request is not granted: a status of HTTP, a word for the page, and a sentence."""

from collections.abc import Mapping

from cgeval.errors import CgevalError


class RefusedError(CgevalError):
    """A request that changes nothing. code: a word that the page knows, such as "taken_over"; status: of HTTP.

    ending: what somebody whose session has ended may still need of it: completion code, way back; None where unknown.
    """

    def __init__(self, status: int, code: str, sentence: str, ending: Mapping[str, str | None] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence, self.ending = status, code, sentence, ending or {}


def unknown_token() -> RefusedError:
    """For a bearer token that is nobody's."""
    return RefusedError(401, "unknown_token", "This session is not known here: open the study's link again.")


def other_page() -> RefusedError:
    """For a page that another one of the same session has taken over from."""
    return RefusedError(409, "taken_over", "The study has been opened in another window, which goes on with it.")


def wrong_state(state: str) -> RefusedError:
    """For a request that belongs to another state."""
    return RefusedError(409, "wrong_state", f"This session is in another place ({state}): ask where it is.")


def no_storage() -> RefusedError:
    """For what cannot be kept: the disk is full or broken."""
    return RefusedError(507, "storage", "The server cannot store anything at the moment. Please try again.")


def busy() -> RefusedError:
    """For a database that another program holds."""
    return RefusedError(503, "busy", "The server is busy. Please try again.")
