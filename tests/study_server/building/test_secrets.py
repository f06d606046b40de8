import pytest
from werkzeug.security import check_password_hash

from cgeval.errors import RunError
from study_server.building.secrets import FILE, make_secrets, read_secrets, set_password


def test_keys_are_new_each_time_and_the_password_is_kept_as_a_hash(tmp_path):
    password = make_secrets(tmp_path)
    kept = read_secrets(tmp_path)
    assert check_password_hash(kept.admin_hash, password)
    assert password not in (tmp_path / FILE).read_text()
    assert len(kept.hmac_key) == len(kept.link_key) == 32
    assert kept.hmac_key != kept.link_key
    assert make_secrets(tmp_path) != password
    assert read_secrets(tmp_path).hmac_key != kept.hmac_key


def test_only_the_owner_reads_them_also_after_a_new_password(tmp_path):
    make_secrets(tmp_path)
    before = read_secrets(tmp_path)
    set_password(tmp_path, "a new one")
    after = read_secrets(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert (after.hmac_key, after.link_key) == (before.hmac_key, before.link_key)
    assert check_password_hash(after.admin_hash, "a new one")


@pytest.mark.parametrize(
    "content",
    ["", "hmac_key = ", 'hmac_key = "zz"\nlink_key = "00"\nadmin_hash = ""', "hmac_key = 5", 'hmac_key = "00"'],
    ids=["empty", "cut", "no hex", "no text", "short"],
)
def test_damaged_secrets_are_refused(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(RunError, match="restore it"):
        read_secrets(tmp_path)


def test_missing_secrets_are_refused(tmp_path):
    with pytest.raises(RunError, match="not there"):
        read_secrets(tmp_path)
