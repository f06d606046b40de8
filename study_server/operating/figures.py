"""Numbers go in; inline SVG comes out, with classes for the style sheet and words for who cannot see it."""

from markupsafe import Markup

from study_server.operating.status import Arm

WIDTH, HEIGHT = 240, 14


def progress(arm: Arm) -> Markup:
    """A bar: done, then live, of those wanted."""
    whole = max(arm.wanted, arm.done + arm.live, 1)
    done, live = (WIDTH * count / whole for count in (arm.done, arm.live))
    return Markup(
        '<svg class="bar" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<rect class="wanted" width="{w}" height="{h}"/>'
        '<rect class="done" width="{done:.1f}" height="{h}"/>'
        '<rect class="live" x="{done:.1f}" width="{live:.1f}" height="{h}"/></svg>'
    ).format(w=WIDTH, h=HEIGHT, done=done, live=live, label=f"{arm.done} done and {arm.live} live of {arm.wanted}")
