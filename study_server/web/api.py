"""A participant's requests as JSON go in; what `study_server.sessions` makes of them comes out as JSON."""

from typing import Annotated, Any, Literal, TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study_server.sessions import lifecycle, trials
from study_server.sessions.platforms import at_the_door
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import Study
from study_server.sessions.view import View
from study_server.web import logs

NO_NUL = r"^[^\x00]*$"  # which PostgreSQL keeps in no text
LONGEST_NAME = 100  # of a field that is told
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
Text = Annotated[str, Field(max_length=4000, pattern=NO_NUL)]
Short = Annotated[str, Field(max_length=512)]
Number = Annotated[int | float, Field(ge=-1e12, le=1e12)]
Ms = Annotated[float, Field(ge=-1e7, le=1e9)]
Replies = Annotated[
    dict[Annotated[str, Field(max_length=64)], Text | bool | Number | list[Short] | None], Field(max_length=32)
]


class Body(BaseModel):
    """A request: nothing beside what is named, and no number that is none."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


AnyBody = TypeVar("AnyBody", bound=Body)


class Screen(Body):
    """Of the browser's window."""

    width_px: float = Field(0, ge=0, le=100_000)
    height_px: float = Field(0, ge=0, le=100_000)
    dpr: float = Field(1, ge=0, le=20)
    touch: bool | None = None


class Enter(Body):
    """query: of the page's address."""

    query: Annotated[dict[Short, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] = {}
    client: Id
    visitor: Annotated[str, Field(max_length=64)] = ""
    language: Annotated[str, Field(max_length=35)] = "en"
    screen: Screen = Screen()


class Consent(Body):
    """agreed: to take part."""

    agreed: bool
    replies: Replies = {}


class Device(Screen):
    """What the device check found."""

    refresh_hz: float | None = Field(None, ge=0, le=10_000)
    visible: bool | None = None


class Look(Body):
    """look: the page's own id of this exposure."""

    look: Id


class Exposed(Body):
    """One image's exposure, in milliseconds from the trial's begin."""

    side: Literal["left", "right", "both"]
    onset_ms: Ms | None = None
    offset_ms: Ms | None = None
    frames: int | None = Field(None, ge=0, le=10_000_000)
    longest_gap_ms: Ms | None = None


class Measurements(Body):
    """What the page measured of a trial."""

    rt_ms: Ms | None = None
    exposures: Annotated[list[Exposed], Field(max_length=4)] = []
    visible: bool | None = None
    input: Literal["mouse", "touch", "pen", "keyboard"] | None = None
    screen: Screen | None = None
    refresh_hz: float | None = Field(None, ge=0, le=10_000)
    trial_index: int | None = Field(None, ge=0, le=10_000)
    time_elapsed: Ms | None = None


class Given(Body):
    """An answer."""

    attempt: Id
    clicked: Literal["left", "right"]
    measurements: Measurements = Measurements()


class Questionnaire(Body):
    """The last page's answers."""

    replies: Replies = {}


def blueprint(study: Study) -> Blueprint:
    """Everything under /api."""
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.post("/enter")
    def enter() -> Response:
        body = _body(Enter)
        screen = body.screen.model_dump(exclude_none=True)
        entrance = at_the_door(study, body.query, body.visitor, body.language, body.client, screen)
        if entrance is None:
            return jsonify(preview=True, view=_preview(study, body.language))
        ticket = lifecycle.enter(study, entrance)
        return jsonify(token=ticket.token, view=_told(ticket.view))

    @api.get("/session")
    def session() -> Response:
        return jsonify(_told(lifecycle.session_of(study, *_who())))

    @api.post("/take-over")
    def take_over() -> Response:
        return jsonify(_told(lifecycle.take_over(study, *_who())))

    @api.post("/consent")
    def consent() -> Response:
        body = _body(Consent)
        return jsonify(_told(lifecycle.consent(study, *_who(), body.agreed, body.replies)))

    @api.post("/device")
    def device() -> Response:
        body = _body(Device)
        return jsonify(_told(lifecycle.device(study, *_who(), body.model_dump(exclude_none=True))))

    @api.post("/ready")
    def ready() -> Response:
        return jsonify(_told(lifecycle.ready(study, *_who())))

    @api.get("/stimuli/<name>")
    def stimulus(name: str) -> Response:
        if not name.isascii() or not name.isprintable():
            raise RefusedError(404, "not_found", "There is nothing here.")
        path = trials.stimulus(study, *_who(), name)
        return Response(path.read_bytes(), mimetype="image/png")

    @api.post("/trials/<int(max=100000):position>/begin")
    def begin(position: int) -> Response:
        body = _body(Look)
        return jsonify(look=trials.begin(study, *_who(), position, body.look))

    @api.post("/trials/<int(max=100000):position>/answer")
    def answer(position: int) -> Response:
        body = _body(Given)
        measured = body.measurements.model_dump(exclude_none=True)
        reply = trials.answer(study, *_who(), position, trials.Given(body.attempt, body.clicked, measured))
        return jsonify(view=_told(reply.view), feedback=reply.feedback)

    @api.post("/alive")
    def alive() -> Response:
        lifecycle.alive(study, *_who())
        return jsonify(alive=True)

    @api.post("/questionnaire")
    def questionnaire() -> Response:
        body = _body(Questionnaire)
        return jsonify(_told(lifecycle.questionnaire(study, *_who(), body.replies)))

    return api


def _who() -> tuple[str, str]:
    """The bearer token and the page's id. Raises RefusedError where either is missing."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    client = request.headers.get("X-Client", "")
    if kind != "Bearer" or not token or len(token) > 128:
        raise RefusedError(401, "unknown_token", "This session is not known here: open the study's link again.")
    if not 0 < len(client) <= 64 or not client.isascii() or not client.isprintable():
        raise RefusedError(400, "bad_request", "X-Client is expected: the page's own id.")
    return token, client


def _body(kind: type[AnyBody]) -> AnyBody:
    """The request's JSON; raises RefusedError in a sentence that names the first wrong field, not its content."""
    try:
        return kind.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:LONGEST_NAME] or "the body"
        raise RefusedError(400, "bad_request", f"{where}: {first['msg']}.") from None


def _told(view: View) -> dict[str, Any]:
    logs.session(view.session)
    return view.as_json()


def _preview(study: Study, language: str) -> dict[str, Any]:
    """What a page needs to show a preview; nothing is stored."""
    known = study.config.about.languages
    short = language.lower().split("-")[0]
    chosen = short if short in known else known[0]
    texts = study.config.texts.get(chosen, {})
    return {
        "state": "PREVIEW",
        "language": chosen,
        "languages": list(known),
        "title": study.config.about.title,
        "texts": texts,
    }
