"""An open study goes in; the Flask app of its participants and its admin comes out."""

import secrets
from typing import Any

from flask import Flask, Request, Response, jsonify, render_template, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.exceptions import HTTPException

from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import Study
from study_server.web import admin, api, headers, logs, participant

LARGEST_BODY = 64 * 1024
SENTENCES = {
    400: "The request is not as expected.",
    404: "There is nothing here.",
    405: "That cannot be done here.",
    413: "The request is too large.",
    415: "JSON is expected.",
}
CODES = {400: "bad_request", 404: "not_found", 405: "wrong_method", 413: "too_large", 415: "bad_request"}


def create_app(study: Study, *, secure: bool = False) -> Flask:
    """For one study; any number of threads may serve it. secure: the admin's cookie is sent over TLS alone."""
    app = Flask(__name__)
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        # With another password, whoever entered with the old one is out.
        SECRET_KEY=study.secrets.link_key + study.secrets.admin_hash.encode(),
        SESSION_COOKIE_NAME="study_admin",
        SESSION_COOKIE_PATH="/admin",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=secure,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.session_interface = _AdminSessions()
    app.register_blueprint(participant.blueprint(study))
    app.register_blueprint(api.blueprint(study))
    app.register_blueprint(admin.blueprint(study))
    app.add_url_rule("/health", view_func=lambda: health(study), methods=["GET"])
    app.register_error_handler(RefusedError, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    headers.add_to(app, study.config.entry.platform)
    logs.add_to(app)
    return app


class _AdminSessions(SecureCookieSessionInterface):
    """A cookie for the admin's pages; nobody else has any, nor is one looked for."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Of the admin's pages alone."""
        if request.path.startswith("/admin"):
            return super().open_session(app, request)
        return None


def health(study: Study) -> tuple[Response, int]:
    """200 where a participant would be served: the database answers, and can be written to."""
    try:
        with study.database.write() as found:
            found.connection().exec_driver_sql("SELECT 1")
    except Exception as error:
        logs.note("unhealthy", error=type(error).__name__)
        return jsonify(status="unwell"), 503
    return jsonify(status="well", study=study.manifest.study_id), 200


def _refused(error: RefusedError) -> tuple[Response, int]:
    logs.mark(error.code)
    return jsonify(error=error.code, message=error.sentence), error.status


def _http_error(error: HTTPException) -> Any:
    status = error.code or 500
    sentence = SENTENCES.get(status, error.name)
    logs.mark(CODES.get(status, f"http_{status}"))
    if request.path.startswith("/api/"):
        return jsonify(error=CODES.get(status, f"http_{status}"), message=sentence), status
    if error.response is not None:
        return error
    return render_template("error.html", status=status, sentence=sentence), status


def _unexpected(error: Exception) -> Any:
    """The browser gets a number, which stands in the log beside what happened."""
    number = secrets.token_hex(4)
    logs.failure(number, error)
    sentence = f"Something went wrong here, which is not your fault (number {number}). Please try again."
    if request.path.startswith("/api/"):
        return jsonify(error="failed", message=sentence, number=number), 500
    return render_template("error.html", status=500, sentence=sentence), 500
