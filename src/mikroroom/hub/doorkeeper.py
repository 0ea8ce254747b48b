"""Who may come to the door at all, and as whom: by a join token, or by the site's own word.

A token and the site's hook are two forms of the same thing. Whoever brings a token is granted what that says;
of everyone else the hook is asked; and where there is none, all may come, unless tokens are required.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mikroroom.core.grants import NO_GRANT, Denial, Grant, fitting, fitting_reason
from mikroroom.hub.foreign import Foreign
from mikroroom.hub.limits import Limits
from mikroroom.logs import Line
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.settings import Problem, Settings, SettingsError

if TYPE_CHECKING:
    from mikroroom.core.jointokens import Key, KeyRing

log = logging.getLogger(__name__)

Hook = Callable[[Any, str, str], Grant | Denial | Awaitable[Grant | Denial]]
"""Decides, for a handshake, a room's code and a name, whether somebody may join."""

# Seconds between two looks at whether the file of keys has changed.
LOOK_EVERY = 1.0


class NotGranted(Refusal):
    """Somebody may not come to the door. ``is_guess`` if it counts as a failed one (R30)."""

    def __init__(self, code: ErrorCode, reason: str, *, is_guess: bool) -> None:
        super().__init__(code, reason)
        self.is_guess = is_guess


class Doorkeeper:
    """See the module. ``wall`` is the time in milliseconds since the epoch.

    Raises:
        SettingsError: the keys of join tokens cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        hook: Hook | None,
        *,
        limits: Limits,
        clock: Callable[[], int],
        wall: Callable[[], int],
    ) -> None:
        self._hook = hook
        self._foreign = Foreign(settings.hook_timeout)
        self._limits = limits
        self._clock = clock
        self._wall = wall
        self._requires_token = settings.join_tokens == "required"
        has_keys = settings.join_token_secret or settings.join_token_keys
        self._keys = JoinTokenKeys(settings) if has_keys else None

    @property
    def is_asked(self) -> bool:
        """Whether somebody looks at handshakes."""
        return self._hook is not None

    @property
    def is_strict(self) -> bool:
        """Whether there are people who may join no room at all."""
        return self._hook is not None or self._requires_token

    async def grant(self, handshake: object, code: str, name: str | None, token: str | None) -> Grant:
        """What somebody is granted who wants to join the room ``code``.

        Raises:
            NotGranted: INVALID_TOKEN; UNAUTHORIZED, by the site's word.
            Refusal: SERVER_ERROR, the site gave no word.
        """
        if token:
            return self._read(token, code)
        if self._hook is not None:
            return await self._ask(self._hook, handshake, code, name or "")
        if self._requires_token:
            raise NotGranted(ErrorCode.INVALID_TOKEN, "A `token` is needed to join", is_guess=False)
        return NO_GRANT

    def _read(self, token: str, code: str) -> Grant:
        if self._keys is None:
            raise NotGranted(ErrorCode.INVALID_TOKEN, "This server takes no join tokens", is_guess=False)
        from mikroroom.core.jointokens import TokenRefused  # noqa: PLC0415 - loaded with the keys

        try:
            return self._keys.ring.read(token, code, self._wall() / 1_000)
        except TokenRefused as refused:
            raise NotGranted(ErrorCode.INVALID_TOKEN, str(refused), is_guess=refused.is_guess) from None

    async def _ask(self, hook: Hook, handshake: object, code: str, name: str) -> Grant:
        try:
            verdict = await self._foreign.call(hook, handshake, code, name)
        except TimeoutError:
            raise self._gave_no_word("it took too long") from None
        except Exception as error:
            raise self._gave_no_word(f"{type(error).__name__}: {error}") from error
        try:
            if isinstance(verdict, Grant):
                return fitting(verdict)
            if isinstance(verdict, Denial):
                raise NotGranted(ErrorCode.UNAUTHORIZED, fitting_reason(verdict), is_guess=True)
        except ValueError as error:
            raise self._gave_no_word(
                f"it returned a {type(verdict).__name__} that is wrong: {error}"
            ) from None
        raise self._gave_no_word(f"it returned {verdict!r:.100}, neither a Grant nor a Denial")

    def _gave_no_word(self, problem: str) -> Refusal:
        self._limits.tell("join-undecided", self._clock(), problem=problem)
        return Refusal(ErrorCode.SERVER_ERROR, "It could not be found out whether you may join; try again")


class JoinTokenKeys:
    """The keys of join tokens, from the settings: a secret, or a file that is read anew when it changes.

    Raises:
        SettingsError: they cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._audience = settings.join_token_audience
        self._leeway = settings.join_token_leeway
        self._path = Path(settings.join_token_keys) if settings.join_token_keys else None
        self._looked_at = time.monotonic()
        self._state = self._stat()
        try:
            self.keys = _keys(settings.join_token_secret, self._path)
        except (OSError, ValueError) as error:
            must = f"a JSON Web Key Set that can be used: {error}"
            raise SettingsError(
                [f"join_token_keys = {settings.join_token_keys}: must be {must}"],
                [Problem("join_token_keys", must)],
            ) from None
        self._secret = settings.join_token_secret
        self._ring = self._ring_of(self.keys)

    @property
    def ring(self) -> "KeyRing":
        """What tokens are read with, as of a moment ago."""
        if self._path is not None and time.monotonic() - self._looked_at >= LOOK_EVERY:
            self._look(self._path)
        return self._ring

    def _look(self, path: Path) -> None:
        self._looked_at = time.monotonic()
        state = self._stat()
        if state == self._state:
            return
        self._state = state
        try:
            self.keys = _keys(self._secret, path)
        except (OSError, ValueError) as error:
            effect = "the former keys hold on"
            log.error(Line("keys-unusable", path=str(path), problem=str(error), effect=effect))
            return
        self._ring = self._ring_of(self.keys)
        log.info(Line("keys-read", path=str(path), keys=len(self.keys)))

    def _ring_of(self, keys: "list[Key]") -> "KeyRing":
        from mikroroom.core.jointokens import KeyRing  # noqa: PLC0415 - likewise

        return KeyRing(keys, self._audience, self._leeway)

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)


def _keys(secret: str, path: Path | None) -> "list[Key]":
    from mikroroom.core.jointokens import key_of, keys_in  # noqa: PLC0415 - PyJWT takes its time to load

    keys = keys_in(path.read_bytes()) if path is not None else []
    if secret and any(key.id is None for key in keys):
        raise ValueError("beside a `join_token_secret` each key needs a `kid`")
    return ([key_of(secret)] if secret else []) + keys
