"""RFC 6455 on frames and close codes, as far as it is ours."""

import pytest

from mikroroom.transport.frames import (
    Fragments,
    Violation,
    may_be_sent,
    read_close,
    short,
    text_header,
)


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ],
)
def test_a_header_says_the_size_in_as_few_bytes_as_can_be(size: int, header: str) -> None:
    """5.2."""
    assert text_header(size).hex() == header


def test_codes_that_may_be_sent_are_those_of_the_registry_and_of_applications() -> None:
    """7.4."""
    allowed = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
    assert {code for code in range(70_000) if may_be_sent(code)} == allowed


def test_a_close_frame_has_a_code_and_a_reason_or_nothing() -> None:
    """5.5.1."""
    assert read_close(b"") == (1005, "")
    assert read_close((4000).to_bytes(2) + "adiós".encode()) == (4000, "adiós")
    with pytest.raises(Violation) as refused:
        read_close((1005).to_bytes(2))
    assert refused.value.code == 1002


def test_a_reason_is_cut_to_what_fits_and_not_within_a_letter() -> None:
    """5.5."""
    assert short("x" * 123) == "x" * 123
    assert short("x" * 200) == "x" * 123
    assert short("x" + "é" * 100) == "x" + "é" * 61


@pytest.mark.parametrize(("is_binary", "message"), [(False, "aé"), (True, "aé".encode())])
def test_pieces_make_a_message_even_if_cut_within_a_letter(is_binary: bool, message: str | bytes) -> None:
    """5.4."""
    fragments = Fragments(is_binary=is_binary)
    for piece in (b"a", b"\xc3", b"", b"\xa9"):
        fragments.add(memoryview(piece), 4)
    assert fragments.message() == message


def test_pieces_that_get_too_long_are_refused_before_they_are_kept() -> None:
    fragments = Fragments(is_binary=False)
    fragments.add(memoryview(b"abc"), 4)
    with pytest.raises(Violation) as refused:
        fragments.add(memoryview(b"de"), 4)
    assert refused.value.code == 1009
    assert fragments.message() == "abc"


def test_pieces_that_are_no_text_are_refused() -> None:
    """8.1."""
    fragments = Fragments(is_binary=False)
    fragments.add(memoryview(b"\xc3"), 4)
    with pytest.raises(Violation) as refused:
        fragments.message()
    assert refused.value.code == 1007
