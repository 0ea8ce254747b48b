"""What somebody was granted before it came to the door: by the site that we are part of, or for a token."""

import re
from typing import Literal

import msgspec
from msgspec import Struct, structs

from mikroroom.protocol.requests import NAME_LENGTH, REFUSED_IN_NAMES, is_visible

SUBJECT_LENGTH = 256
DENIAL_LENGTH = 500

# Halves of a character: JSON can spell them, and UTF-8 cannot.
_SURROGATES = re.compile("[\ud800-\udfff]")

GrantedRole = Literal["participant", "moderator", "host"]


class Grant(Struct, frozen=True, kw_only=True):
    """Who somebody is, and what it may.

    ``name`` is shown instead of the one that it asks for. ``role`` is what it will be: a ``moderator``; a
    ``host``, who also becomes host of a room that has another, makes one that does not exist (with ``isHost``
    or without), and cannot be kicked; or a ``participant``, who moderates only while nobody else is there to
    do so, and makes no rooms. None is as everyone without a grant: participant, or host of a room where
    nobody is.

    ``subject`` is the site's own id for the person, as text, which the administration and room events tell,
    and participants never hear. Moderators and hosts do not wait in a locked room; others do unless
    ``skips_waiting``. Nor are those asked for the room's password who ``skips_password``.
    """

    name: str | None = None
    role: GrantedRole | None = None
    subject: str | None = None
    skips_password: bool = False
    skips_waiting: bool = False

    @property
    def enters(self) -> bool:
        """Whether it enters where others would have to wait (R20, R24)."""
        return self.skips_waiting or self.role in {"moderator", "host"}

    @property
    def makes_rooms(self) -> bool:
        """Whether a room may begin with it (R4)."""
        return self.role != "participant"


NO_GRANT = Grant()


class Denial(Struct, frozen=True):
    """Somebody may not enter; ``reason`` is what it is told."""

    reason: str = "You may not join this meeting"


def fitting(grant: Grant) -> Grant:
    """A grant from elsewhere, as it can be kept and told.

    Raises:
        ValueError: it cannot. A ``subject`` is not made to fit: it might become another one's.
    """
    try:
        grant = msgspec.convert(structs.asdict(grant), Grant)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    subject = grant.subject or None
    if subject and (len(subject) > SUBJECT_LENGTH or _SURROGATES.search(subject)):
        raise ValueError(f"Expected text of at most {SUBJECT_LENGTH} characters - at `$.subject`")
    return structs.replace(grant, name=fitting_name(grant.name), subject=subject)


def fitting_reason(denial: Denial) -> str:
    """What somebody is told who may not enter. Raises ValueError: it is no text."""
    if not isinstance(denial.reason, str):
        raise ValueError(f"Expected `str`, got `{type(denial.reason).__name__}` - at `$.reason`")
    return _SURROGATES.sub("", denial.reason[:DENIAL_LENGTH])


def fitting_name(name: str | None) -> str | None:
    """A name from elsewhere as it can be shown here (R8): shortened, and without what is refused in names.

    None where nothing is left that could be seen.
    """
    name = _SURROGATES.sub("", REFUSED_IN_NAMES.sub("", name or "")).strip()[:NAME_LENGTH].strip()
    return name if is_visible(name) else None
