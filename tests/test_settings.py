"""Settings: where they come from, which wins, and what is said of those that cannot be."""

from pathlib import Path

import pytest

from mikroroom.settings import MASK, OPTIONS, Settings, SettingsError, settings_table
from mikroroom.sources import load

README = Path(__file__).parent.parent / "README.md"


def refusal(
    flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, file: Path | None = None
) -> list[str]:
    """The lines with which these settings are refused."""
    if file is not None:
        flags = {"config": str(file), **(flags or {})}
    with pytest.raises(SettingsError) as refused:
        load(flags, environ or {})
    assert str(refused.value) == "\n".join(refused.value.lines)
    return list(refused.value.lines)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "mikroroom.toml"


# Where they come from


def test_nothing_said_gives_the_defaults() -> None:
    chosen, sources = load({}, {})
    assert chosen == Settings()
    assert (chosen.host, chosen.port, chosen.trusted_proxies) == ("127.0.0.1", 3000, ("127.0.0.1", "::1"))
    assert sources == dict.fromkeys(OPTIONS, "default")


def test_the_same_setting_everywhere_takes_the_strongest(toml: Path) -> None:
    toml.write_text("port = 1\nmax_rooms = 1\nhost = '::1'\nmax_waiting = 1\n")
    environ = {"MIKROROOM_PORT": "2", "MIKROROOM_MAX_ROOMS": "2", "MIKROROOM_CONFIG": str(toml)}
    chosen, sources = load({"port": "3"}, environ, {"data_dir": "/srv", "max_waiting": 9})
    assert (chosen.port, chosen.max_rooms, chosen.host, chosen.max_waiting, chosen.data_dir) == (
        3,
        2,
        "::1",
        1,
        "/srv",
    )
    assert sources["port"] == "flag"
    assert sources["max_rooms"] == "environment"
    assert sources["host"] == sources["max_waiting"] == f"file {toml}"
    assert sources["data_dir"] == "serve default"
    assert sources["log_level"] == "default"


def test_a_file_named_by_flag_wins_over_one_in_the_environment(toml: Path) -> None:
    toml.write_text("port = 1\n")
    chosen, _ = load({"config": str(toml)}, {"MIKROROOM_CONFIG": "/nowhere"})
    assert chosen.port == 1


def test_where_the_commands_find_the_server_is_no_setting_of_it() -> None:
    assert load({}, {"MIKROROOM_URL": "https://meet.example"})[0] == Settings()


def test_the_processs_own_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROROOM_MAX_ROOMS", "17")
    assert load()[0].max_rooms == 17


def test_text_becomes_numbers_and_lists() -> None:
    environ = {
        "MIKROROOM_RESUME_WINDOW": "2.5",
        "MIKROROOM_ALLOWED_ORIGINS": "https://a.example, https://b.example:8443,",
        "MIKROROOM_STUN_SERVERS": "",
    }
    chosen, _ = load({"messages_per_second": "0"}, environ)
    assert chosen.resume_window == 2.5
    assert chosen.allowed_origins == ("https://a.example", "https://b.example:8443")
    assert chosen.stun_servers == ()
    assert chosen.messages_per_second == 0


def test_a_file_may_write_lists_and_whole_numbers_as_toml_does(toml: Path) -> None:
    toml.write_text('resume_window = 5\ntrusted_proxies = ["10.0.0.0/8", "fd00::/8"]\n')
    chosen, _ = load({"config": str(toml)}, {})
    assert chosen.resume_window == 5.0
    assert chosen.trusted_proxies == ("10.0.0.0/8", "fd00::/8")


def test_a_path_from_home_is_found_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"data_dir": "~/rooms"}, {})[0].data_dir == f"{tmp_path}/rooms"
    assert load({"data_dir": ""}, {})[0].data_dir == ""


# What is refused, and in which words


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("port", ""),
        ("port", "9" * 5000),
        ("port", "80.5"),
        ("host", ""),
        ("resume_window", "nan"),
        ("resume_window", "inf"),
        ("join_timeout", "0"),
        ("max_participants", "1001"),
        ("log_level", "loud"),
        ("webhook_events", "room.started,room.stopped"),
        ("log_format", "JSON"),
        ("root_path", "/"),
        ("root_path", "/meet/"),
        ("root_path", "meet"),
        ("allowed_origins", "https://meet.example/"),
        ("allowed_origins", "meet.example"),
        ("trusted_proxies", "*"),
        ("trusted_proxies", "localhost"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("stun_servers", "stun.example"),
        ("stun_servers", "stun://stun.example"),
        ("stun_servers", "turn:turn.example"),
        ("turn_servers", "stun:stun.example"),
        ("turn_servers", "turn:turn.example?transport=sctp"),
        ("tls_certificate", "/nowhere.pem"),
        ("redis_prefix", ""),
        ("redis_prefix", "a b"),
        ("redis_prefix", "a\tb"),
        ("redis_prefix", "é"),
        ("redis_prefix", "{a}:"),
        ("redis_prefix", "a*"),
        ("redis_prefix", "a?"),
        ("redis_prefix", "[a]"),
        ("redis_prefix", "a\\"),
        ("redis_prefix", "a" * 65),
        ("workers", "0"),
        ("workers", "1025"),
        ("worker_lease", "1.9"),
        ("worker_lease", "301"),
    ],
)
def test_a_malformed_value_is_refused_by_name_value_and_what_is_allowed(field: str, value: str) -> None:
    lines = refusal(environ={f"MIKROROOM_{field.upper()}": value})
    assert len(lines) == 1
    assert lines[0].startswith(f"MIKROROOM_{field.upper()}=")
    assert value[:200] in lines[0] or repr(value) in lines[0]
    assert "must be " in lines[0]
    assert len(lines[0]) < 400


def test_a_refused_setting_is_named_as_it_was_written(toml: Path) -> None:
    toml.write_text("max_rooms = true\n")
    assert refusal({"port": "x"}, {"MIKROROOM_MAX_WAITING": "y"}, toml) == [
        f"{toml}: max_rooms = True: must be a whole number from 1 to 1000000",
        "MIKROROOM_MAX_WAITING=y: must be a whole number from 0 to 10000",
        "--port x: must be a whole number from 0 to 65535",
    ]


def test_an_unknown_setting_is_refused_with_the_nearest_name(toml: Path) -> None:
    toml.write_text("max_room = 5\n")
    assert refusal({"prot": "80"}, {"MIKROROOM_MAX_LATENT_ROOM": "1", "HOME": "/"}, toml) == [
        f"{toml}: max_room = 5: unknown setting; did you mean max_rooms?",
        "MIKROROOM_MAX_LATENT_ROOM=1: unknown setting; did you mean MIKROROOM_MAX_LATENT_ROOMS?",
        "--prot 80: unknown setting; did you mean --port?",
    ]


def test_an_unknown_setting_like_no_other_is_refused_without_a_guess() -> None:
    assert refusal(environ={"MIKROROOM_XYZZY": "1"}) == [
        "MIKROROOM_XYZZY=1: unknown setting; `mikroroom config` lists them all"
    ]


def test_a_variable_in_lower_case_is_not_taken_for_a_setting() -> None:
    assert "did you mean MIKROROOM_PORT?" in refusal(environ={"MIKROROOM_port": "1"})[0]


def test_a_table_in_the_file_is_refused_without_telling_what_is_in_it(toml: Path) -> None:
    toml.write_text('[mikroroom]\nturn_secret = "hunter2"\n')
    (line,) = refusal(file=toml)
    assert "flat" in line
    assert "[mikroroom]" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("content", [b"port = \n", b"port = 1\nport = 2\n", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused_by_name(toml: Path, content: bytes) -> None:
    toml.write_bytes(content)
    (line,) = refusal(file=toml)
    assert line.startswith(f"{toml}: is not TOML: ")


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    assert refusal(file=tmp_path / "none") == [f"{tmp_path}/none: cannot be read: No such file or directory"]
    assert refusal(file=tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_a_value_on_two_lines_is_told_on_one() -> None:
    (line,) = refusal(environ={"MIKROROOM_PORT": "1\nport = 2"})
    assert line.isprintable()


# Settings at odds with each other


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"tls_key": __file__}, f"--tls-key {__file__}: must be given together with tls_certificate"),
        ({"tls_certificate": __file__}, f"--tls-certificate {__file__}: must be given together with tls_key"),
        (
            {"webhook_url": "https://example.org/"},
            "--webhook-url ********: must be given together with webhook_secret",
        ),
        (
            {"workers": "2"},
            "--workers 2: must be 1, or given together with redis_url: workers share their rooms in Redis",
        ),
        (
            {"hang_timeout": "2"},
            "--hang-timeout 2: must be 0, or at least 3: the signs of life come once a second",
        ),
        (
            {"redis_url": "redis://h", "data_dir": "/srv"},
            "--data-dir /srv: must be empty where redis_url is given: rooms are in Redis then",
        ),
    ],
)
def test_settings_at_odds_are_refused(flags: dict[str, str], line: str) -> None:
    assert refusal(flags) == [line]


def test_turn_servers_without_credentials_are_refused() -> None:
    (line,) = refusal({"turn_servers": "turn:t.example", "turn_username": "me"})
    assert line.startswith("--turn-servers turn:t.example: must be given together with turn_secret, or with ")


@pytest.mark.parametrize("how", [{"turn_secret": "s"}, {"turn_username": "me", "turn_credential": "c"}])
def test_turn_servers_with_either_kind_of_credentials_are_accepted(how: dict[str, str]) -> None:
    servers = "turn:t.example:3478?transport=udp,turns:[2001:db8::1]:5349"
    assert len(load({"turn_servers": servers, **how}, {})[0].turn_servers) == 2


def test_a_value_refused_for_itself_is_not_refused_again_for_its_neighbours() -> None:
    lines = refusal({"turn_servers": "nonsense", "turn_username": "me"})
    assert len(lines) == 1
    assert lines[0].startswith("--turn-servers nonsense: must be URLs such as turn:")


def test_settings_made_in_code_are_held_to_the_same_bounds() -> None:
    with pytest.raises(SettingsError, match="max_rooms = -1: must be a whole number from 1 to 1000000"):
        Settings(max_rooms=-1)
    with pytest.raises(SettingsError, match="trusted_proxies = 5: must be addresses"):
        Settings(trusted_proxies=5)  # type: ignore[arg-type]  # what is under test


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Settings().port = 1  # type: ignore[misc]  # what is under test


# Redis


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://127.0.0.1",
        "redis://:sesame@127.0.0.1:6379/0",
        "redis://ada:s%2Fsame@redis.example/15?health_check_interval=10",
        "rediss://ada@[::1]:6380?ssl_ca_certs=/etc/ssl/ca.pem",
        "unix:///run/redis/redis.sock",
        "unix://:sesame@/run/redis.sock?db=2",
    ],
)
def test_urls_that_redis_clients_understand_are_accepted(url: str) -> None:
    assert load({"redis_url": url, "workers": "4"}, {})[0].redis_url == url


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "http://:hunter2@127.0.0.1",
        "redis:hunter2",
        "redis://:hunter2/@127.0.0.1",
        "redis://:hunter2#@127.0.0.1",
        "redis://:hunter2@@127.0.0.1",
        "redis://:hunter2@127.0.0.1:port",
        "redis://:hunter2@127.0.0.1/name",
        "redis://:hunter2@127.0.0.1\n",
        "unix://hunter2",
        "unix://:hunter2@socket",
    ],
)
def test_other_urls_are_refused_and_not_shown(url: str) -> None:
    (line,) = refusal({"redis_url": url})
    assert line.startswith(f"--redis-url {MASK}: must be nothing, or a URL such as redis://:PASSWORD@")
    assert "hunter2" not in line


def test_with_redis_the_commands_own_directory_is_not_used(toml: Path) -> None:
    defaults = {"data_dir": "/srv"}
    assert load({}, {}, defaults)[0].data_dir == "/srv"
    toml.write_text("redis_url = 'redis://h'\n")
    chosen, sources = load({"config": str(toml), "workers": "2"}, {}, defaults)
    assert (chosen.data_dir, sources["data_dir"], chosen.workers) == ("", "default", 2)
    assert sources["redis_url"] == f"file {toml}"


def test_a_directory_that_somebody_chose_is_never_given_up_in_silence() -> None:
    with pytest.raises(
        SettingsError, match="MIKROROOM_DATA_DIR=/var: must be empty where redis_url is given"
    ):
        load({"redis_url": "redis://h"}, {"MIKROROOM_DATA_DIR": "/var"}, {"data_dir": "/srv"})


def test_a_redis_that_is_refused_makes_nobody_else_wrong() -> None:
    assert len(refusal({"redis_url": "nonsense", "workers": "4", "data_dir": "/srv"})) == 1


# Secrets


def test_secrets_are_masked_wherever_settings_are_shown(toml: Path) -> None:
    told = repr(
        Settings(turn_secret="hunter2", turn_credential="hunter2", redis_url="redis://:hunter2@127.0.0.1")
    )
    assert "hunter2" not in told
    assert f"turn_secret={MASK}" in told
    assert f"redis_url={MASK}" in told
    toml.write_text('turn_secret = ["hunter2"]\nredis_url = ["hunter2"]\n')
    environ = {"MIKROROOM_TURN_SECRETT": "hunter2", "MIKROROOM_TURN_KEY": "hunter2"}
    environ |= {"MIKROROOM_REDIS": "redis://:hunter2@h", "MIKROROOM_STORE_URL": "redis://:hunter2@h"}
    lines = refusal({"turn_credentials": "hunter2"}, environ, toml)
    assert len(lines) == 7
    assert all(MASK in line and "hunter2" not in line for line in lines)


# The list itself


@pytest.mark.parametrize("field", OPTIONS)
def test_every_setting_tells_what_it_is_and_what_is_allowed(field: str) -> None:
    option = OPTIONS[field]
    assert option.description[0].isupper() or option.description.startswith("`")
    assert not option.description.endswith(".")
    assert option.allowed
    assert option.flag == "--" + field.replace("_", "-")
    assert option.environment == "MIKROROOM_" + field.upper()


def test_the_readme_shows_the_settings_as_they_are() -> None:
    assert settings_table() in README.read_text("utf-8")


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://example.org:99999/", "https://:80/", "https://h:0/"]
)
def test_url_of_a_webhook_that_leads_nowhere_is_refused(url: str) -> None:
    lines = refusal({"webhook_url": url, "webhook_secret": f"whsec_{'A' * 32}"})
    assert lines[0].startswith("--webhook-url ********: must be nothing, or a URL such as ")


@pytest.mark.parametrize(
    "secret",
    ["sesame", "whsec_c2hvcnQ=", f"whsec_{'A' * 33}", f"whsec_{'A' * 88}", f"whsec_{'A' * 32},whsec_"],
)
def test_secret_of_a_webhook_that_is_no_key_is_refused(secret: str) -> None:
    (line,) = refusal({"webhook_secret": secret})
    assert line.startswith("--webhook-secret ********: must be `whsec_` and ")


def test_several_secrets_and_types_of_webhooks_are_accepted() -> None:
    flags = {
        "webhook_url": "http://site:8000/meetings?key=7",
        "webhook_secret": f"whsec_{'A' * 32}, whsec_{'B' * 86}==",
        "webhook_events": "room.started, room.ended",
    }
    assert load(flags, {})[0].webhook_events == ("room.started", "room.ended")
