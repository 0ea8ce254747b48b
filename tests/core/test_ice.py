"""ICE servers and TURN credentials, as browsers and TURN servers take them."""

import msgspec

from mikroroom.core.ice import IceSource, TurnLogin, ice_servers, short_lived_login


def test_short_lived_login_is_what_a_turn_server_with_the_same_secret_computes() -> None:
    """As ``printf 1700000000:mikroroom | openssl dgst -sha1 -hmac north -binary | base64`` has it."""
    assert short_lived_login("north", 1_700_000_000, "mikroroom") == TurnLogin(
        "1700000000:mikroroom", "c5BQbCuY5kl5wGHfs2NM57smwXs="
    )


def test_short_lived_login_may_have_any_secret_and_user() -> None:
    """Both are UTF-8; this one has a longer secret than SHA-1 has room for."""
    assert short_lived_login("ключ" * 20, 2_000_000_000, "zoë") == TurnLogin(
        "2000000000:zoë", "k/26V94+jJWqFN+U1DuvTOCGDuA="
    )


def test_servers_stand_in_order_and_only_turn_has_the_login() -> None:
    """As the reference shows them."""
    servers = ice_servers(
        ["stun:a.example", "stun:b.example:3478"], ["turn:c.example", "turns:d.example"], TurnLogin("u", "c")
    )
    assert msgspec.to_builtins(servers) == [
        {"urls": "stun:a.example"},
        {"urls": "stun:b.example:3478"},
        {"urls": "turn:c.example", "username": "u", "credential": "c"},
        {"urls": "turns:d.example", "username": "u", "credential": "c"},
    ]


def test_turn_without_a_login_is_left_out() -> None:
    """No browser takes it: RTCPeerConnection throws."""
    assert msgspec.to_builtins(ice_servers(["stun:a.example"], ["turn:c.example"], None)) == [
        {"urls": "stun:a.example"}
    ]
    assert ice_servers([], [], TurnLogin("u", "c")) == []


def test_configuration_with_a_secret_ends_in_time_and_says_when() -> None:
    source = IceSource(stun=["stun:a.example"], turn=["turn:c.example"], secret="north", ttl=600)
    login = short_lived_login("north", 1_700_000_600, "ada")
    assert msgspec.to_builtins(source.issue(1_700_000_000, "ada")) == {
        "iceServers": [
            {"urls": "stun:a.example"},
            {"urls": "turn:c.example", "username": "1700000600:ada", "credential": login.credential},
        ],
        "ttl": 600,
    }


def test_configuration_with_a_secret_and_another_login_goes_by_the_secret() -> None:
    source = IceSource(turn=["turn:c.example"], secret="north", ttl=600, login=TurnLogin("u", "c"))
    assert source.issue(0, "ada").ice_servers[0].username == "600:ada"


def test_configuration_with_a_login_of_its_own_never_ends() -> None:
    source = IceSource(turn=["turn:c.example"], login=TurnLogin("u", "c"), ttl=600)
    assert msgspec.to_builtins(source.issue(1_700_000_000, "ada")) == {
        "iceServers": [{"urls": "turn:c.example", "username": "u", "credential": "c"}]
    }


def test_configuration_without_turn_never_ends() -> None:
    source = IceSource(stun=["stun:a.example"], secret="north", ttl=600)
    assert msgspec.to_builtins(source.issue(1_700_000_000, "ada")) == {
        "iceServers": [{"urls": "stun:a.example"}]
    }
