"""Error codes and close codes (R27, R28)."""

from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal


def test_reference_finds_its_four_error_codes() -> None:
    reference = {"ROOM_FULL", "INVALID_PASSWORD", "ROOM_NOT_FOUND", "UNAUTHORIZED"}
    assert reference <= {code.value for code in ErrorCode}


def test_error_codes_are_spelled_as_they_are_named() -> None:
    assert all(code.value == code.name for code in ErrorCode)


def test_close_codes_tell_who_may_come_back() -> None:
    """R28: 4000 to 4499 may, 4500 to 4999 must not; what is not ours is RFC 6455's own."""
    ours = {code for code in CloseCode if code >= 4_000}
    assert {code for code in ours if code < 4_500} == {
        CloseCode.SLOW_READER,
        CloseCode.NEVER_JOINED,
        CloseCode.TOO_MANY_REFUSED,
    }
    assert {code for code in ours if code >= 4_500} == {
        CloseCode.KICKED,
        CloseCode.REJECTED,
        CloseCode.REPLACED,
        CloseCode.MEETING_ENDED,
    }
    assert all(1_000 <= code <= 1_014 for code in set(CloseCode) - ours)


def test_refusal_reads_well_in_a_traceback() -> None:
    refusal = Refusal(ErrorCode.ROOM_FULL, "The room is full")
    assert str(refusal) == "ROOM_FULL: The room is full"
    assert (refusal.code, refusal.message) == (ErrorCode.ROOM_FULL, "The room is full")
