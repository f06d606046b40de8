"""The admin's pages."""

from flask import Blueprint

from study_server.sessions.study import Study


def blueprint(study: Study) -> Blueprint:  # noqa: ARG001
    """Everything under /admin."""
    return Blueprint("admin", __name__, url_prefix="/admin")
