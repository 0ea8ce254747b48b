"""The school of docs/examples/starlette: a session decides who enters which class, and as whom."""

import pytest
from playwright.async_api import expect
from tests.web.guests import Guests
from websockets.exceptions import InvalidStatus

from mikroroom.client import RefusedError
from mikroroom.protocol import events

from .conftest import StartExample
from .example_site import PASSWORD, ExampleSite, cookies_of, sees_a_picture


@pytest.fixture
def school(start: StartExample) -> ExampleSite:
    return start("starlette")


async def test_below_the_prefix_the_service_answers(school: ExampleSite) -> None:
    async with school.anybody() as somebody:
        assert (await somebody.get("/meet/health")).json()["status"] == "ok"
        assert (await somebody.get("/meet/")).json()["endpoints"]["websocket"] == "/meet/ws"


async def test_the_session_says_who_somebody_is_and_who_moderates(school: ExampleSite) -> None:
    teacher, pupil = await cookies_of("tess", school), await cookies_of("sam", school)
    async with school.connects(teacher) as tess, school.connects(pupil) as sam:
        own = await tess.join("MATHS1", "Mickey")
        assert isinstance(own, events.ParticipantJoined)
        assert (own.name, own.is_host, own.is_moderator) == ("Tess Teacher", True, True)
        other = await sam.join("MATHS1", "Tess Teacher", is_host=True)
        assert isinstance(other, events.ParticipantJoined)
        assert (other.name, other.is_host, other.is_moderator) == ("Sam", False, False)
        await school.says("MATHS1: sam, participant.joined")
        await sam.leave()
        await school.says("MATHS1: sam, participant.left")


async def test_a_pupil_does_not_begin_the_class(school: ExampleSite) -> None:
    async with school.connects(await cookies_of("sam", school)) as sam:
        with pytest.raises(RefusedError) as refused:
            await sam.join("MATHS1", "Sam", is_host=True)
    assert refused.value.code == "ROOM_NOT_FOUND"


async def test_strangers_and_forged_sessions_are_turned_away(school: ExampleSite) -> None:
    for cookies in ("", "session=eyJ1c2VyIjogInRlc3MifQ==.awg_pQ.forged", "session="):
        async with school.connects(cookies) as stranger:
            with pytest.raises(RefusedError, match="Log in first") as refused:
                await stranger.join("MATHS1", "Tess Teacher", is_host=True)
        assert refused.value.code == "UNAUTHORIZED"


async def test_strangers_make_no_room_to_invite_themselves_to(school: ExampleSite) -> None:
    async with school.anybody() as stranger:
        assert (await stranger.post("/meet/api/rooms", json={"roomId": "MATHS1"})).status_code == 401


async def test_other_classes_are_closed_to_a_pupil(school: ExampleSite) -> None:
    async with school.connects(await cookies_of("sam", school)) as sam:
        with pytest.raises(RefusedError, match="not a class of yours"):
            await sam.join("LATIN2", "Sam")


async def test_a_page_of_another_origin_is_refused_with_a_good_session(school: ExampleSite) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with school.connects(await cookies_of("tess", school), origin="http://evil.example"):
            pass
    assert refused.value.response.status_code == 403


async def test_a_login_is_for_the_right_password_and_no_other_sites_form(school: ExampleSite) -> None:
    right = {"user": "tess", "password": PASSWORD}
    async with school.anybody() as somebody:
        assert (await somebody.post("/login", data={**right, "password": "guess"})).status_code == 403
        foreign = await somebody.post("/login", data=right, headers={"Origin": "http://evil.example"})
        assert foreign.status_code == 403
        assert not somebody.cookies
        cookie = (await somebody.post("/login", data=right)).headers["Set-Cookie"].lower()
        assert "samesite=lax" in cookie and "httponly" in cookie


async def test_teacher_and_pupil_meet_on_the_page_and_a_stranger_reads_why_not(
    school: ExampleSite, guest: Guests
) -> None:
    teacher, pupil = await guest(school), await guest(school)
    for page, user in ((teacher, "tess"), (pupil, "sam")):
        await page.get_by_label("Name").fill(user)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("link", name="Mathematics").click()

    await pupil.get_by_role("button", name="Join").click()
    await expect(pupil.get_by_role("status")).to_have_text("There is no meeting with this code")
    await teacher.get_by_role("button", name="Join").click()
    await expect(teacher.get_by_role("status")).to_have_text("You are in")
    await pupil.get_by_role("button", name="Join").click()

    for page in (teacher, pupil):
        here = page.get_by_role("list", name="Who is here").get_by_role("listitem")
        await expect(here).to_contain_text(["Sam", "Tess"] if page is pupil else ["Tess", "Sam"])
        await expect(here.filter(has_text="Tess")).to_have_text("Tess Teacher (moderates)")
        await expect(here.filter(has_text="Sam")).to_have_text("Sam")
        await sees_a_picture(page)

    stranger = await guest(school, "/classes/MATHS1")
    await stranger.get_by_role("button", name="Join").click()
    await expect(stranger.get_by_role("status")).to_have_text("Log in first")
