"""Lost connections: the store is told of each, and told again until it takes that."""

import asyncio
from collections.abc import Awaitable, Callable

from mikroroom.core.resume import lose
from mikroroom.core.room import Policy
from mikroroom.hub.limits import Limits
from mikroroom.hub.roster import Roster
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.port import Store


class Losses:
    """Those that are under way to the store; and those that it could not take yet, so that no ghost stays."""

    def __init__(
        self, store: Store, roster: Roster, *, limits: Limits, policy: Policy, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._roster = roster
        self._limits = limits
        self._policy = policy
        self._clock = clock
        # By participant: the room's code, and which connection.
        self._owed: dict[str, tuple[str, str]] = {}
        # The event loop itself keeps no hold on what runs on it.
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def owed(self) -> int:
        """How many the store could not take yet."""
        return len(self._owed)

    def tell(self, participant_id: str, code: str, connection_id: str) -> None:
        """That connection of somebody in the room is gone (R4, R41)."""
        try:
            step = self._store.transact(
                code, lambda room, now: lose(room, participant_id, connection_id, now, self._policy)
            )
        except Exception as error:  # noqa: BLE001 - nobody is left who could be told
            self._owe(participant_id, code, connection_id, error)
        else:
            if step is not None:
                telling = asyncio.create_task(self._see_through(participant_id, code, connection_id, step))
                self._under_way.add(telling)
                telling.add_done_callback(self._under_way.discard)

    def tell_again(self) -> None:
        """Whatever the store could not take before."""
        owed, self._owed = self._owed, {}
        for participant_id, (code, connection_id) in owed.items():
            self.tell(participant_id, code, connection_id)

    async def settle(self, patience: float) -> None:
        """Give those under way so many seconds."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=patience)

    async def _see_through(
        self, participant_id: str, code: str, connection_id: str, step: Awaitable[None]
    ) -> None:
        try:
            await step
        except Exception as error:  # noqa: BLE001 - as before
            self._owe(participant_id, code, connection_id, error)

    def _owe(self, participant_id: str, code: str, connection_id: str, error: Exception) -> None:
        """Nobody stays here who is not there."""
        if isinstance(error, Refusal) and error.code is not ErrorCode.SERVER_ERROR:
            self._roster.unseat(participant_id)
            return  # gone already
        self._roster.let_go(participant_id, connection_id)
        self._owed[participant_id] = code, connection_id
        self._limits.tell("store-failed", self._clock(), room=code, problem=str(error))
