"""The file between a stop and the next start: used once, and only as far as it is whole."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from mikroroom.stores.kept import KeptFile
from mikroroom.stores.port import Kept

from .disks import Mount, fill, put

ADA = Kept(7, 3, 1_800_000_000_000, [b'{"type":"chat"}', b"{}"])
HUGE = b"mikroroom kept 1\n" + b"\xff" * 99  # a name of four gigabytes
BOB = Kept(300, 0, 0, [b"x" * 1_000] * 256)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def opened(path: Path) -> KeptFile:
    """As a start opens it."""
    file = KeptFile(path)
    file.open()
    return file


def test_what_was_saved_can_be_taken_once_by_the_next(path: Path) -> None:
    assert KeptFile(path).save({"ada": ADA, "böb": BOB}, 10) == (0, None)
    file = opened(path)
    assert file.is_gone and not path.exists()
    assert (file.take("böb"), file.take("ada"), file.take("ada"), file.take("cleo")) == (BOB, ADA, None, None)
    assert opened(path).take("ada") is None


def open_files(path: Path) -> int:
    """How often this process has the file open, which may have been deleted since."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # others come and go
            count += str(link.readlink()).startswith(str(path))
    return count


def test_nothing_to_save_leaves_no_file_and_removes_an_old_one(path: Path) -> None:
    put(path, b"old")
    assert KeptFile(path).save({}, 10) == (0, None)
    assert not path.exists()


def test_what_was_not_taken_is_not_saved_again(path: Path) -> None:
    KeptFile(path).save({"ada": ADA}, 10)
    file = opened(path)
    file.save({"bob": BOB}, 10)
    assert file.take("ada") is None
    again = opened(path)
    assert (again.take("ada"), again.take("bob")) == (None, BOB)


def test_files_are_let_go_of(path: Path) -> None:
    KeptFile(path).save({"ada": ADA, "bob": BOB}, 10)
    file = opened(path)
    assert open_files(path) == 1
    file.take("ada")
    file.take("bob")
    assert open_files(path) == 0, "and the disk has its space again"


def test_what_there_was_no_time_for_is_counted(path: Path) -> None:
    file = KeptFile(path)
    missing, problem = file.save({"ada": ADA, "bob": BOB}, -1)
    assert missing == 2 and problem is not None and "seconds" in problem
    assert opened(path).take("ada") is None


def test_a_file_that_ends_too_early_is_good_up_to_there(path: Path) -> None:
    KeptFile(path).save({"ada": ADA, "bob": BOB}, 10)
    content = path.read_bytes()
    for length in range(len(content) - len(BOB.messages) * 1_000, len(content), 5_000):
        put(path, content[:length])
        file = opened(path)
        assert (file.take("ada"), file.take("bob")) == (ADA, None)
    for length in range(60):
        put(path, content[:length])
        assert opened(path).take("ada") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"noise",
        b"mikroroom kept 9\n" + b"\0" * 99,
        b"mikroroom kept 1\n" + b"\0" * 99,
        HUGE,
        os.urandom(999),
    ],
    ids=["empty", "noise", "another version", "zeros", "huge", "random"],
)
def test_a_file_that_is_none_of_ours_is_deleted_and_not_used(path: Path, content: bytes) -> None:
    put(path, content)
    assert opened(path).take("ada") is None
    assert not path.exists()


def test_a_damaged_record_costs_only_itself(path: Path) -> None:
    KeptFile(path).save({"ada": ADA, "bob": BOB}, 10)
    content = path.read_bytes()
    put(path, content.replace(b"messages", b"m\xffssages", 1))
    file = opened(path)
    assert (file.take("ada"), file.take("bob")) == (None, BOB)


def test_what_is_in_the_way_is_no_file_of_ours(path: Path) -> None:
    path.mkdir()
    file = KeptFile(path)
    with pytest.raises(OSError, match="kept"):
        file.open()
    assert not file.is_gone
    missing, problem = file.save({"ada": ADA}, 10)
    assert missing == 1 and problem is not None
    path.rmdir()
    os.mkfifo(path)
    assert opened(path).take("ada") is None


def test_a_full_disk_keeps_what_fits(small_disk: Mount) -> None:
    place = small_disk("size=1m")
    kept = {f"p{number}": BOB for number in range(10)}
    missing, problem = KeptFile(place / "kept").save(kept, 10)
    assert 0 < missing < 10 and problem is not None and "space" in problem
    file = opened(place / "kept")
    took = [file.take(name) for name in kept]
    assert [told is None for told in took] == [False] * (10 - missing) + [True] * missing
    file.close()
    fill(place)
    missing, problem = KeptFile(place / "kept").save(kept, 10)
    assert missing == 10
