"""What another tool asked is reported as far as it is known."""

import json

from click.testing import CliRunner

from study_server.cli import study_server
from study_server.judged import write_imported

FACTS = {"study_id": "elsewhere", "preset": "isola2017", "asked": "fake", "created_at": "2026-01-01T00:00:00Z"}


def rows(session, fooled):
    """Four trials of a participant, the first of them fooled."""
    side = {"real_side": "left", "phase": "scored", "session": session}
    return [
        side | {"image": f"{i}.png", "index": i, "clicked": "left" if i < fooled else "right", "fooled": i < fooled}
        for i in range(4)
    ]


def test_an_import_has_rates_and_no_record_and_lacks_nobody(tmp_path):
    sessions = [["a", "one"], ["b", "one"], ["c", "two"]]
    answered = [*rows("a", 1), *rows("b", 3), *rows("c", 0)]
    write_imported(tmp_path, FACTS | {"sessions": sessions, "notes": ["Asked by another tool."]}, answered)
    told = CliRunner().invoke(study_server, ["report", str(tmp_path), "--json"], catch_exceptions=False)
    content = json.loads(told.stdout)
    assert [arm["estimate"]["fooling_rate"] for arm in content["arms"]] == [0.5, 0.0]
    assert content["study"]["finished"]
    assert "Asked by another tool." in content["notes"]
    assert "isola2017, asked for the generated image" in (tmp_path / "report" / "report.txt").read_text()
    assert "none, since an import" in told.stderr
    assert not (tmp_path / "records").exists()
