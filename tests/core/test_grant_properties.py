"""Any history of a room that people come to with and without grants: power is with whom it was given to."""

from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mikroroom.core.administration import remove, set_moderator
from mikroroom.core.bans import Banishment
from mikroroom.core.grants import Grant
from mikroroom.protocol import requests
from mikroroom.protocol.codes import Refusal

from .stage import RESUME_WINDOW, TOKEN, Stage

GRANTS = [
    Grant(role="participant"),
    Grant(role="participant", subject="one", skips_waiting=True),
    Grant(),
    Grant(subject="one"),
    Grant(role="moderator"),
    Grant(role="host"),
]
places = st.integers(0, 9)
actions: st.SearchStrategy[requests.Action] = st.sampled_from(["make-moderator", "kick", "mute"])


class Grants(RuleBasedStateMachine):
    """A room that was made ahead; what is refused is refused."""

    @initialize(seats=st.sampled_from([8, 2]))
    def begins(self, seats: int) -> None:
        self.stage = Stage(is_precreated=True, seats=seats)
        self.count = 0
        # Who may moderate, or be host: it was granted that, or made a moderator by somebody who may.
        self.entitled: set[str] = set()

    @rule(
        grant=st.sampled_from(GRANTS),
        may_resume=st.booleans(),
        token=st.sampled_from([None, None, TOKEN]),
        address=st.sampled_from(["here", "there"]),
    )
    def somebody_comes(self, grant: Grant, may_resume: bool, token: str | None, address: str) -> None:
        self.count += 1
        with suppress(Refusal):
            name = f"p{self.count}"
            self.stage.joins(name, grant=grant, may_resume=may_resume, token=token, address=address)
            if grant.role != "participant" or (token and name in self.stage.room.participants):
                self.entitled.add(name)

    @precondition(lambda self: self.stage.room.participants)
    @rule(who=places, by_word=st.booleans())
    def somebody_goes(self, who: int, by_word: bool) -> None:
        name = self._somebody(who)
        if by_word:
            self.stage.leaves(name)
        else:
            self.stage.is_lost(name)

    @precondition(lambda self: self.stage.room.suspended)
    @rule(restart=st.booleans())
    def somebody_comes_back(self, restart: bool) -> None:
        self.stage.resumes(next(iter(self.stage.room.suspended)), restart=restart)

    @rule(milliseconds=st.sampled_from([1_000, RESUME_WINDOW]))
    def time_passes(self, milliseconds: int) -> None:
        self.stage.passes(milliseconds)
        self.stage.tidies()

    @rule()
    def server_restarts(self) -> None:
        self.stage.restarts()

    @precondition(lambda self: self.stage.room.participants)
    @rule(who=places, lock=st.booleans())
    def somebody_locks_or_unlocks(self, who: int, lock: bool) -> None:
        with suppress(Refusal):
            self.stage.does(self._somebody(who), requests.LockRoom() if lock else requests.UnlockRoom())

    @precondition(lambda self: self.stage.room.participants)
    @rule(who=places, whom=places, action=actions)
    def somebody_acts_on_somebody(self, who: int, whom: int, action: requests.Action) -> None:
        name, target = self._somebody(who), self._somebody(whom)
        with suppress(Refusal):
            self.stage.acts_on(name, target, action)
            if action == "make-moderator" and name in self.entitled:
                self.entitled.add(target)

    @precondition(lambda self: self.stage.room.waiting and self.stage.room.participants)
    @rule(who=places)
    def somebody_admits(self, who: int) -> None:
        with suppress(Refusal):
            self.stage.admits(self._somebody(who), next(iter(self.stage.room.waiting)))

    @precondition(lambda self: self.stage.room.participants)
    @rule(whom=places, is_moderator=st.booleans())
    def site_makes_or_unmakes_a_moderator(self, whom: int, is_moderator: bool) -> None:
        room, name = self.stage.room, self._somebody(whom)
        with suppress(Refusal):
            self.stage.is_done(set_moderator(room, name, is_moderator=is_moderator))
            if is_moderator:
                self.entitled.add(name)
            elif room.participants[name].role is not None:
                self.entitled.discard(name)

    @precondition(lambda self: self.stage.room.participants)
    @rule(whom=places, lasts=st.sampled_from([None, 2_000]))
    def site_removes_or_bans(self, whom: int, lasts: int | None) -> None:
        banishment = None if lasts is None else Banishment(f"ban {self.count}", lasts)
        stage, name = self.stage, self._somebody(whom)
        subject = stage.room.participants[name].subject
        stage.is_done(remove(stage.room, name, stage.now, stage.policy, banishment))
        if banishment is not None and subject is not None:
            assert subject not in {person.subject for person in stage.room.participants.values()}
            assert subject not in {person.subject for person in stage.room.waiting.values()}

    @invariant()
    def there_is_one_host(self) -> None:
        people = self.stage.room.participants.values()
        hosts = [person for person in people if person.is_host]
        assert len(hosts) == bool(people)
        assert all(host.is_moderator for host in hosts)

    @invariant()
    def who_was_to_take_part_moderates_only_for_want_of_others(self) -> None:
        moderators = {person.id for person in self.stage.room.participants.values() if person.is_moderator}
        assert moderators <= self.entitled or len(moderators) == 1

    def _somebody(self, place: int) -> str:
        people = list(self.stage.room.participants)
        return people[place % len(people)]


def test_after_any_history_power_is_with_whom_it_was_given_to() -> None:
    run_state_machine_as_test(
        Grants,
        settings=settings(
            derandomize=True,
            deadline=None,
            max_examples=200,
            stateful_step_count=60,
            suppress_health_check=[HealthCheck.too_slow],  # of a busy machine
        ),
    )
