"""What a client may send (R1, R3, R8, R10, R14, R15)."""

import json
from typing import Any

import msgspec
import pytest

from mikroroom.protocol import requests
from mikroroom.protocol.codec import REQUESTS, InvalidMessage, decode_body, decode_request, encode

from .examples import EXAMPLES, REFERENCE, TEXTS


def say(**fields: Any) -> requests.Request:
    """What the server makes of these fields."""
    return decode_request(json.dumps(fields))


def join(**fields: Any) -> requests.Join:
    """A join that is right but for these fields."""
    request = say(**{"type": "join", "roomId": "ABC123", "name": "Ada", **fields})
    assert isinstance(request, requests.Join)
    return request


def complaint(**fields: Any) -> str:
    """What is said of these fields, which are wrong."""
    with pytest.raises(InvalidMessage) as refused:
        say(**fields)
    return refused.value.message


# All of them


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_read_from_its_example(name: str) -> None:
    request = decode_request(TEXTS[name])
    assert type(request) is REQUESTS[name]
    assert request.timestamp == 1_234_567_890


def test_examples_are_of_every_request() -> None:
    assert EXAMPLES.keys() == REQUESTS.keys()


@pytest.mark.parametrize("name", REFERENCE)
def test_every_field_of_the_reference_is_read(name: str) -> None:
    """But who speaks and where: the server knows (R10)."""
    unread = {"participantId"} if name == "join" else {"participantId", "roomId"}
    told = {field: value for field, value in REFERENCE[name].items() if field not in unread}
    assert json.loads(encode(decode_request(TEXTS[name]))) == told


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize(
    "claims",
    [
        {"participantId": None, "timestamp": None},
        {"participantId": 1.5, "timestamp": 1_234_567_890.25},
        {"participantId": ["x"], "roomId": "abc123"},
        {"isModerator": True, "isHost": True, "mood": {"x": [1, 2, {}]}, "": 0},
    ],
    ids=repr,
)
def test_what_a_client_claims_of_itself_is_not_even_read(name: str, claims: dict[str, Any]) -> None:
    """R10: and unknown fields are dropped."""
    fields = EXAMPLES[name]
    read = json.loads(encode(say(**{**fields, **claims})))
    assert read.keys() <= fields.keys() - {"participantId"}
    assert read.get("timestamp") == claims.get("timestamp", 1_234_567_890)


@pytest.mark.parametrize("name", REQUESTS)
def test_any_optional_field_may_be_null_or_absent(name: str) -> None:
    """R10: but for the name, which only those can do without who have a token (R8)."""
    kind = REQUESTS[name]
    optional = [
        field for field in msgspec.structs.fields(kind) if not field.required and field.name != "name"
    ]
    assert "timestamp" in {field.name for field in optional}
    fields = EXAMPLES[name]
    bare = {
        key: value for key, value in fields.items() if key not in {field.encode_name for field in optional}
    }
    nulls = {field.encode_name: None for field in optional}
    assert encode(say(**bare)) == encode(say(**bare, **nulls))


@pytest.mark.parametrize("name", REQUESTS)
def test_missing_field_is_named(name: str) -> None:
    """R27."""
    for field in msgspec.structs.fields(REQUESTS[name]):
        if field.required:
            others = {key: value for key, value in EXAMPLES[name].items() if key != field.encode_name}
            assert complaint(**others) == f"Object missing required field `{field.encode_name}`"


@pytest.mark.parametrize("timestamp", [0, -1, 0.5, 1e3, 2**53, -(2**53), float(2**53)])
def test_timestamp_may_be_any_number_that_every_client_reads_back(timestamp: float) -> None:
    """R10."""
    assert say(type="leave", timestamp=timestamp).timestamp == timestamp


@pytest.mark.parametrize(
    "timestamp", [2**53 + 1, -(2**53) - 1, 2.0**53 + 2, -(2.0**53) - 2, 10**400, 1e300, "0", True, [], {}]
)
def test_timestamp_beyond_that_is_refused(timestamp: object) -> None:
    """R10."""
    assert "`$.timestamp`" in complaint(type="leave", timestamp=timestamp)


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_may_be_numbered(name: str) -> None:
    """R47: by numbers that every client reads back, with room to go on."""
    for number in (1, 2, 2**52):
        assert say(**{**EXAMPLES[name], "clientSeq": number}).client_seq == number
    for wrong in (0, -1, 2**52 + 1, 10**400, 1.5, "1", True, [1]):
        assert "`$.clientSeq`" in complaint(**{**EXAMPLES[name], "clientSeq": wrong})


# Join


@pytest.mark.parametrize("name", [{}, {"name": None}])
def test_name_may_be_missing_for_others_may_bring_it(name: dict[str, None]) -> None:
    """R8, R42: whether anybody does is not for the request to know."""
    request = say(type="join", roomId="ABC123", **name, resumeToken="token")
    assert isinstance(request, requests.Join)
    assert (request.name, request.resume_token) == (None, "token")


def test_name_beside_a_token_is_held_to_the_same() -> None:
    """R8."""
    assert "1 to 64" in complaint(type="join", roomId="ABC123", name=" ", resumeToken="token")


def test_what_resuming_needs_is_read() -> None:
    """R40, R42."""
    request = join(resume=True, resumeToken="token", lastSeq=17, restart=True)
    assert (request.resume, request.resume_token, request.last_seq, request.restart) == (
        True,
        "token",
        17,
        True,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"resume": "yes"},
        {"resumeToken": 5},
        {"restart": 1},
        {"lastSeq": -1},
        {"lastSeq": 2**52 + 1},
        {"lastSeq": "1"},
        {"lastSeq": 1.5},
    ],
    ids=repr,
)
def test_what_resuming_does_not_know_is_refused_and_named(wrong: dict[str, Any]) -> None:
    """R40, R42."""
    (field,) = wrong
    assert f"`$.{field}`" in complaint(type="join", roomId="ABC123", name="Ada", **wrong)


@pytest.mark.parametrize("code", ["ABC123", "abc123", "aBc123", "000000", "zzzzzz"])
def test_code_is_brought_to_upper_case(code: str) -> None:
    """R1."""
    assert join(roomId=code).room_id == code.upper()


@pytest.mark.parametrize(
    "code",
    [
        "",
        "ABC12",
        "ABC1234",
        "ABC 12",
        "ABC-12",
        "ABC12\n",
        "ABC123\n",
        " ABC123",
        "ÄBC123",
        "abc12ß",
        "١٢٣٤٥٦",
        "ABC12\0",
    ],
)
def test_code_of_anything_but_six_letters_or_digits_is_refused(code: str) -> None:
    """R1: of the ASCII ones, for a code is read out over the telephone."""
    told = complaint(type="join", roomId=code, name="Ada")
    assert told == "`roomId` must be six letters or digits"


def test_code_of_a_room_to_be_made_is_held_to_the_same() -> None:
    """R1, R3."""
    assert requests.CreateRoom(room_id="abc123").room_id == "ABC123"
    with pytest.raises(ValueError, match="six letters or digits"):
        requests.CreateRoom(room_id="abc12")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Ada", "Ada"),
        ("  Ada Lovelace\t", "Ada Lovelace"),
        ("\n\u3000Ada\u00a0", "Ada"),
        ("x", "x"),
        ("x" * 64, "x" * 64),
        (" " * 100 + "x" * 64 + " " * 100, "x" * 64),
        ("😀" * 64, "😀" * 64),
        ("O’Brien-Łukasz 3rd", "O’Brien-Łukasz 3rd"),
        ("عائشة", "عائشة"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("אבג\u200e1", "אבג\u200e1"),
        ("<b>Ada</b>", "<b>Ada</b>"),
    ],
)
def test_name_is_trimmed_and_may_be_of_any_script(given: str, name: str) -> None:
    """R8: joiners and direction marks belong to some of them, and the rest is the page's affair."""
    assert join(name=given).name == name


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u3000", "x" * 65, "😀" * 65, " " * 300_000])
def test_name_that_is_empty_or_too_long_is_refused(name: str) -> None:
    """R8."""
    assert (
        complaint(type="join", roomId="ABC123", name=name)
        == "`name` must be 1 to 64 characters after trimming"
    )


@pytest.mark.parametrize(
    "character",
    [
        *"\x00\x01\t\n\r\x1b\x1f\x7f\x80\x85\x9f\u2028\u2029",
        *"\u202a\u202b\u202c\u202d\u202e",
        *"\u2066\u2067\u2068\u2069",
    ],
    ids=ascii,
)
def test_name_with_a_control_or_direction_character_inside_is_refused(character: str) -> None:
    """R8: none may forge a line or turn the text around it."""
    expected = "`name` must not contain control or text-direction characters"
    assert complaint(type="join", roomId="ABC123", name=f"A{character}a") == expected


@pytest.mark.parametrize(
    "name",
    ["\u200b", "\u200d\u200d", "\ufeff", "\u00ad", "\u200e \u200f", "\U000e0041", "\u3164", "\u2800\u115f"],
)
def test_name_that_nobody_could_see_is_refused(name: str) -> None:
    """R8."""
    expected = "`name` must have at least one visible character"
    assert complaint(type="join", roomId="ABC123", name=name) == expected


@pytest.mark.parametrize("seats", [0, -1, 1_001, 10**400, 2.5, "8", True])
def test_seats_of_a_room_that_no_room_has_are_refused(seats: object) -> None:
    """R3, R4."""
    assert "`$.maxParticipants`" in complaint(type="join", roomId="ABC123", name="Ada", maxParticipants=seats)


def test_join_that_is_made_in_python_is_held_to_the_same() -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        requests.Join("ABC123", " ")


# Sizes


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [
        ("join", "password", 256),
        ("join", "creatorToken", 256),
        ("join", "resumeToken", 256),
        ("offer", "targetId", 64),
        ("file-offer", "fileName", 1_024),
        ("file-offer", "fileType", 256),
        ("quality-change", "quality", 32),
        ("chat", "text", 4_000),
        ("chat", "replyTo", 128),
        ("moderator-action", "targetId", 64),
        ("admit-user", "targetId", 64),
        ("reject-user", "targetId", 64),
        ("reject-user", "reason", 500),
    ],
)
def test_text_has_its_longest(name: str, field: str, most: int) -> None:
    """What is kept or sent to many has a bound of its own, and not that of a message (R32)."""
    assert json.loads(encode(say(**{**EXAMPLES[name], field: "😀" * most})))[field] == "😀" * most
    told = complaint(**{**EXAMPLES[name], field: "x" * (most + 1)})
    assert told == f"Expected `str` of length <= {most} - at `$.{field}`"


@pytest.mark.parametrize(
    ("name", "field", "least", "most"),
    [
        ("join", "maxParticipants", 1, 1_000),
        ("join", "lastSeq", 0, 2**52),
        ("leave", "clientSeq", 1, 2**52),
        ("file-offer", "fileSize", 0, 2**53),
        ("file-chunk", "index", 0, 2**53),
        ("file-chunk", "total", 0, 2**53),
    ],
)
def test_number_has_its_least_and_its_greatest(name: str, field: str, least: int, most: int) -> None:
    """R3: and a number of pieces is one that every client reads back."""
    for number in (least, most):
        assert json.loads(encode(say(**{**EXAMPLES[name], field: number})))[field] == number
    for number in (least - 1, most + 1):
        assert f"`$.{field}`" in complaint(**{**EXAMPLES[name], field: number})


def test_seats_of_a_room_to_be_made_have_the_same_bounds() -> None:
    """R3."""
    for seats in (1, 1_000):
        assert (
            decode_body(f'{{"maxParticipants":{seats}}}'.encode(), requests.CreateRoom).max_participants
            == seats
        )
    for seats in (0, 1_001):
        with pytest.raises(InvalidMessage):
            decode_body(f'{{"maxParticipants":{seats}}}'.encode(), requests.CreateRoom)


# Moderating


@pytest.mark.parametrize("action", ["mute", "unmute", "kick", "make-moderator"])
def test_actions_are_those_of_the_reference(action: str) -> None:
    """R24."""
    request = say(type="moderator-action", targetId="x", action=action)
    assert isinstance(request, requests.ModeratorAction)
    assert request.action == action


# What goes to one other


@pytest.mark.parametrize("field", ["sdp", "chunk"])
@pytest.mark.parametrize("value", ["null", "5", "true", "{}", "[]", '["x"]'])
def test_text_that_is_passed_on_unread_must_be_a_string(field: str, value: str) -> None:
    """R14."""
    kinds = {"sdp": '"type":"offer"', "chunk": '"type":"file-chunk","index":0,"total":1'}
    for kind in (kinds[field], kinds[field].replace("offer", "answer")):
        with pytest.raises(InvalidMessage) as refused:
            decode_request(f'{{{kind},"targetId":"x","{field}":{value}}}')
        assert refused.value.message == f"Expected `str` - at `$.{field}`"


@pytest.mark.parametrize(
    "candidate", [{}, None, {"candidate": "", "sdpMid": None}, {"deep": [[{"x": [1.5]}]]}]
)
def test_candidate_is_any_object_or_null(candidate: object) -> None:
    """R14."""
    request = say(type="ice-candidate", targetId="x", candidate=candidate)
    assert isinstance(request, requests.IceCandidate)
    assert json.loads(bytes(request.candidate)) == candidate


@pytest.mark.parametrize("candidate", ["x", "null", 0, -1, True, False, [], [{}]])
def test_candidate_that_is_neither_is_refused(candidate: object) -> None:
    """R14."""
    told = complaint(type="ice-candidate", targetId="x", candidate=candidate)
    assert told == "Expected an object or null - at `$.candidate`"


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "file-chunk", "chunk": "", "index": -1, "total": 1},
        {"type": "file-chunk", "chunk": "", "index": 0, "total": 10**100},
        {"type": "file-chunk", "chunk": "", "index": 0.5, "total": 1},
        {"type": "file-offer", "fileName": "x" * 1_025, "fileSize": 0, "fileType": ""},
        {"type": "file-offer", "fileName": "x", "fileSize": "0", "fileType": ""},
        {"type": "file-answer", "accepted": "yes"},
        {"type": "quality-change", "quality": "x" * 33},
        {"type": "quality-change", "quality": None},
        {"type": "moderator-action", "action": "Mute"},
        {"type": "moderator-action", "action": ""},
    ],
    ids=repr,
)
def test_wrong_field_is_refused_and_named(wrong: dict[str, Any]) -> None:
    assert "at `$." in complaint(targetId="x", **wrong)


@pytest.mark.parametrize("target", ["x" * 65, None, 5, ["x"], {"id": "x"}, True])
def test_target_that_is_no_id_is_refused(target: object) -> None:
    assert "`$.targetId`" in complaint(type="admit-user", targetId=target)


# Chat


@pytest.mark.parametrize("text", ["x", "x" * 4_000, "😀" * 4_000, "\n", "\0", " "])
def test_chat_is_of_1_to_4000_characters(text: str) -> None:
    """R15."""
    request = say(type="chat", text=text)
    assert isinstance(request, requests.Chat)
    assert request.text == text


@pytest.mark.parametrize("text", ["", "x" * 4_001, "😀" * 4_001, None, 5, ["x"]])
def test_chat_of_less_or_more_is_refused(text: object) -> None:
    """R15."""
    assert "`$.text`" in complaint(type="chat", text=text)
