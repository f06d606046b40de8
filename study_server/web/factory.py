"""An open study goes in; the Flask app of its participants and its admin comes out."""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Flask, Request, Response, jsonify, render_template, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from sqlalchemy import select, update
from sqlalchemy.orm import Session as Transaction
from werkzeug.exceptions import HTTPException

from study_server.sessions.lifecycle import writing
from study_server.sessions.refusals import RefusedError, busy, no_storage
from study_server.sessions.study import Study, stamp
from study_server.store.engine import StorageError
from study_server.store.models import Setting
from study_server.store.turns import BusyError
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
    app.register_error_handler(StorageError, lambda _: _refused(no_storage()))
    app.register_error_handler(BusyError, lambda _: _refused(busy()))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    headers.add_to(app, study.config.entry.platform)
    logs.add_to(app)
    return app


class _AdminSessions(SecureCookieSessionInterface):
    """A cookie for the admin's pages; nobody else has any, nor is one looked for."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Over TLS alone, where it was given over TLS."""
        return request.is_secure or super().get_cookie_secure(app)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Of the admin's pages alone."""
        if request.path.startswith("/admin"):
            return super().open_session(app, request)
        return None


def health(study: Study) -> tuple[Response, int]:
    """200 where a participant would be served: the database answers, and keeps what is written.

    running: whether new participants are taken; those who have begun go on in any case, so 200 it is then too.
    """
    try:
        with writing(study) as found:
            running = found.scalar(select(Setting.value).where(Setting.name == "running"))
            _write_something(study, found)
    except Exception as error:
        logs.trouble("unhealthy", error=error.code if isinstance(error, RefusedError) else type(error).__name__)
        return jsonify(status="unwell"), 503
    return jsonify(status="well", study=study.manifest.study_id, running=running == "yes"), 200


def _write_something(study: Study, found: Transaction) -> None:
    """The time, since what does not change SQLite does not write."""
    at, here = stamp(study.clock()), Setting.name == "looked_after"
    if found.execute(update(Setting).where(here).values(value=at).returning(Setting.name)).first() is None:
        study.database.lock_assignment(found)
        if found.scalar(select(Setting.value).where(here)) is None:
            found.add(Setting(name="looked_after", value=at))


def _refused(error: RefusedError) -> Any:
    return _reply(error.status, error.code, error.sentence, {key: text for key, text in error.ending.items() if text})


def _http_error(error: HTTPException) -> Any:
    status = error.code or 500
    if error.response is not None:
        return error
    reply = _reply(status, CODES.get(status, f"http_{status}"), SENTENCES.get(status, error.name))
    for name, value in error.get_headers():
        if name == "Allow":
            reply.headers[name] = value
    return reply


def _unexpected(error: Exception) -> Any:
    """The browser gets a number, which stands in the log beside what happened."""
    number = secrets.token_hex(4)
    logs.failure(number, error)
    sentence = f"Something went wrong here, which is not your fault (number {number}). Please try again."
    return _reply(500, "failed", sentence)


def _reply(status: int, code: str, sentence: str, more: Mapping[str, str] = MappingProxyType({})) -> Response:
    """JSON for the page's script, a page for people."""
    logs.mark(code)
    if request.path.startswith("/api/"):
        reply = jsonify(error=code, message=sentence, **more)
    else:
        reply = Response(render_template("error.html", status=status, sentence=sentence), mimetype="text/html")
    reply.status_code = status
    return reply
