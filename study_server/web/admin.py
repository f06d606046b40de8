"""The admin's pages: how far the study is, what became of each session, stop and start, export. Nothing of a person.

A cookie, signed by the study's key, says that somebody knew the password; every form carries a token that only these
pages have. Rates stay hidden until every arm is complete, unless somebody asks for them, which is written down.
"""

import io
import secrets
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import wraps
from hmac import compare_digest
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, session, url_for
from sqlalchemy import select
from werkzeug.security import check_password_hash
from werkzeug.wrappers import Response as AnyResponse

from study_server.operating.export import FORMATS, write_tables
from study_server.operating.figures import progress
from study_server.operating.status import Status, read_rates, read_status, write_down_look
from study_server.sessions.lifecycle import set_running
from study_server.sessions.study import Study, stamp
from study_server.store.models import Answer, Event, Session, Trial
from study_server.web import logs, tries

Page = Callable[..., Any]
HOURS = 8
LISTED, NEWEST = 200, 10  # sessions, events


def blueprint(study: Study) -> Blueprint:
    """Everything under /admin."""
    pages = Blueprint("admin", __name__, url_prefix="/admin")
    pages.add_app_template_filter(_moment, "moment")

    @pages.get("/login")
    def login() -> str:
        return render_template("admin/login.html", title=study.config.about.title, told="")

    @pages.post("/login")
    def enter() -> Any:
        tried = tries.take_a_try(study)
        if tried is None:
            return _login_again(study, "Too many wrong passwords: wait a minute.", 429)
        if not check_password_hash(study.secrets.admin_hash, request.form.get("password", "")[:256]):
            logs.note("admin_refused")
            return _login_again(study, "That is not the password.", 403)
        tries.give_back(study, tried)
        session.clear()
        session.update(admin=True, since=time.time(), csrf=secrets.token_urlsafe(24))
        logs.note("admin_entered")
        return redirect(url_for("admin.dashboard"))

    @pages.post("/logout")
    @_guarded
    def logout() -> AnyResponse:
        session.clear()
        return redirect(url_for("admin.login"))

    @pages.get("/")
    @_guarded
    def dashboard() -> str:
        with study.database.read() as found:
            status = _status(study, found)
            shown = status.is_complete or bool(session.get("rates"))
            return render_template(
                "admin/dashboard.html",
                title=study.config.about.title,
                study=study,
                status=status,
                bars={arm.name: progress(arm) for arm in status.arms},
                rates=read_rates(found) if shown else {},
                events=_events(found),
                csrf=session["csrf"],
            )

    @pages.get("/progress.json")
    @_guarded
    def live() -> Response:
        with study.database.read() as found:
            status, events = _status(study, found), _events(found)
        bars = {arm.name: str(progress(arm)) for arm in status.arms}
        return jsonify(status=status.as_json(), bars=bars, events=events)

    @pages.post("/rates")
    @_guarded
    def rates() -> AnyResponse:
        if request.form.get("show") == "yes":
            write_down_look(study.database, "rates_shown", stamp(study.clock()))
        session["rates"] = request.form.get("show") == "yes"
        return redirect(url_for("admin.dashboard"))

    @pages.post("/running")
    @_guarded
    def running() -> AnyResponse:
        set_running(study, request.form.get("running") == "yes")
        return redirect(url_for("admin.dashboard"))

    @pages.get("/sessions")
    @_guarded
    def sessions() -> str:
        with study.database.read() as found:
            newest = found.scalars(select(Session).order_by(Session.id.desc()).limit(LISTED)).all()
            return render_template("admin/sessions.html", title=study.config.about.title, sessions=newest, most=LISTED)

    @pages.get("/sessions/<public_id>")
    @_guarded
    def timeline(public_id: str) -> Any:
        with study.database.read() as found:
            one = found.scalar(select(Session).where(Session.public_id == public_id))
            if one is None:
                return _sentence(study, "There is no such session.", 404)
            events = found.scalars(select(Event).where(Event.session_id == one.id).order_by(Event.id)).all()
            asked = found.execute(
                select(Trial, Answer)
                .outerjoin(Answer, Answer.trial_id == Trial.id)
                .where(Trial.session_id == one.id)
                .order_by(Trial.position)
            ).all()
            show = _status(study, found).is_complete or bool(session.get("rates"))
            return render_template(
                "admin/session.html", title=study.config.about.title, one=one, events=events, asked=asked, show=show
            )

    @pages.get("/export.zip")
    @_guarded
    def export() -> Response:
        packed = io.BytesIO()
        with tempfile.TemporaryDirectory() as name:
            write_tables(study.database, study.manifest, Path(name), FORMATS)
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in sorted(Path(name).iterdir()):
                    archive.write(file, file.name)
        with study.database.read() as found:
            is_complete = _status(study, found).is_complete
        if not is_complete:
            write_down_look(study.database, "exported", stamp(study.clock()))
        reply = Response(packed.getvalue(), mimetype="application/zip")
        reply.headers["Content-Disposition"] = f'attachment; filename="study-{study.manifest.study_id}.zip"'
        return reply

    return pages


def _guarded(page: Page) -> Page:
    """For whoever has entered; a POST needs the token of the form too."""

    @wraps(page)
    def guarded(*arguments: Any, **named: Any) -> Any:
        if not session.get("admin") or time.time() - float(session.get("since", 0)) > HOURS * 3600:
            session.clear()
            if request.path.endswith(".json"):
                return jsonify(error="login", message="Enter again."), 401
            return redirect(url_for("admin.login"))
        token = request.form.get("csrf", "")
        if request.method == "POST" and not compare_digest(token.encode(), str(session.get("csrf")).encode()):
            logs.mark("csrf")
            told = {"title": "Admin", "sentence": "This form is too old: load the page again."}
            return render_template("admin/told.html", **told), 403
        return page(*arguments, **named)

    return guarded


def _login_again(study: Study, told: str, status: int) -> tuple[str, int]:
    return render_template("admin/login.html", title=study.config.about.title, told=told), status


def _status(study: Study, found: Any) -> Status:
    return read_status(found, study.manifest, study.config, stamp(study.clock()))


def _events(found: Any) -> list[dict[str, Any]]:
    """The newest, each with its session's number, in words."""
    rows = found.execute(
        select(Event.at, Event.kind, Event.detail, Session.public_id)
        .outerjoin(Session, Session.id == Event.session_id)
        .order_by(Event.id.desc())
        .limit(NEWEST)
    )
    return [
        {"at": at, "shown": _moment(at), "what": detail.get("state", kind.replace("_", " ")), "session": public_id}
        for at, kind, detail, public_id in rows
    ]


def _moment(at: str) -> str:
    """A time for people: to the second, UTC."""
    return at[:19].replace("T", " ")


def _sentence(study: Study, sentence: str, status: int) -> tuple[str, int]:
    return render_template("admin/told.html", title=study.config.about.title, sentence=sentence), status
