import msgspec
import pytest

from hearth.kit.settings import SettingsError, load_settings


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    http_port: int = 8080
    state: str = "x"


def test_flags_beat_environment_beats_file(tmp_path):
    file = tmp_path / "hearth.toml"
    file.write_text('http_port = 1\nstate = "file"')
    environ = {"HEARTH_HTTP_PORT": "2"}
    found = load_settings(Settings, file=file, environ=environ, flags={"state": None})
    assert found == Settings(http_port=2, state="file")
    flags = {"http_port": 3}
    assert load_settings(Settings, file=file, environ=environ, flags=flags).http_port == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("htp_port = 1", "htp_port", id="unknown-name"),
        pytest.param('http_port = "many"', r"\$.http_port", id="wrong-type"),
        pytest.param("http_port =", "hearth.toml", id="not-toml"),
    ],
)
def test_a_bad_file_is_refused_with_the_field(tmp_path, text, said):
    file = tmp_path / "hearth.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(Settings, file=file)
