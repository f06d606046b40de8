"""A study goes in; its frozen pre-registration comes out, and later in what the study deviated from it."""

from study_server.registration.deviations import deviations, registered_choices
from study_server.registration.freezing import FILE, freeze

__all__ = ["FILE", "deviations", "freeze", "registered_choices"]
