"""What every reply carries: nothing is cached that could be seen twice, nor framed, sniffed or fetched elsewhere."""

from flask import Flask, Response, request

from study_server.sessions.platforms import MTURK_HOSTS

CONTENT = "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "


def add_to(app: Flask, platform: str) -> None:
    """After each request. A study on MTurk may be framed there and handed in there, any other nowhere."""
    hosts = " ".join(f"https://{host}" for host in MTURK_HOSTS)
    framed, handed_in = (hosts, f"'self' {hosts}") if platform == "mturk" else ("'none'", "'self'")
    policy = f"{CONTENT}form-action {handed_in}; frame-ancestors {framed}"

    @app.after_request
    def add(reply: Response) -> Response:
        reply.headers["Content-Security-Policy"] = policy
        reply.headers["X-Content-Type-Options"] = "nosniff"
        reply.headers["Referrer-Policy"] = "no-referrer"
        reply.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not request.path.startswith("/static/"):
            reply.headers["Cache-Control"] = "no-store"
            for name in ("ETag", "Last-Modified"):
                reply.headers.pop(name, None)
        return reply
