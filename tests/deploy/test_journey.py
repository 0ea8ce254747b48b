"""deploy/README.md, command by command: from a checkout to a meeting of two, over a restart and an upgrade.

On a systemd of its own, with Debian's nginx and coturn, and two people in a real browser.
"""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import httpx
from tests.chromium import DEVICES, chromium
from tests.deploy.box import Box
from tests.web.people import Person, all_see_each_other, until

GUIDE = (Path(__file__).parents[2] / "deploy" / "README.md").read_text()
NAME = "meet.example.org"
URL = f"https://{NAME}/"
LIVE = f"/etc/letsencrypt/live/{NAME}"
CHECKOUT = "/root/mikroroom"
# What is listened on, as it stands in the guide. The box has the network of this machine.
PORTS = (80, 443, 3000, 3478, 5349)
# Seconds: virtual environments are made, and packages fetched.
LONG = 300.0
# What the first lines of every shell are: what was set before, and apt-get, which here only looks whether
# what it is to install is there. (tests/debian-packages.sh has installed it.)
STATE = "/root/state"
APT_GET = r"""
set -euo pipefail
apt-get() {
    [ "$1" = install ] || return 0
    for package in "${@:3}"; do
        case $package in
            coturn) command -v turnserver ;;
            python3-venv) python3 -c 'import ensurepip' ;;
            *) command -v "$package" ;;
        esac || { echo "not installed: $package"; return 1; }
    done
}
"""


class Guide:
    """Somebody who does in the box what the guide says, section by section."""

    def __init__(self, box: Box) -> None:
        self._box = box
        # The prompt of root is no heading.
        self._untold = re.findall(r"^#+ (.*)\n", re.sub(r"(?ms)^```.*?^```", "", GUIDE), re.MULTILINE)
        box.write(STATE, APT_GET)
        box.run(
            f"mkdir {CHECKOUT} && cd /opt/checkout && "
            f"tar --exclude=.venv --exclude=.git --exclude=node_modules --exclude='.*_cache' -c . |"
            f" tar -x -C {CHECKOUT}"
        )

    def follow(self, title: str) -> str:
        """Run all commands of the section, which is the next one. Returns what they said."""
        assert self._untold.pop(0) == title
        section = GUIDE.partition(f"# {title}\n")[2].partition("\n## ")[0]
        blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        assert blocks, f"{title} has no commands"
        said = ""
        for block in blocks:
            said += self._box.run(f". {STATE} && cd {CHECKOUT}\n{block}", timeout=LONG).stdout
            variables = re.findall(r"^[A-Z]+=[\w.]+$", block, re.MULTILINE)
            with (self._box.root / STATE[1:]).open("a") as state:
                state.write("\n".join(variables) + "\n")
        return said

    def is_done(self) -> bool:
        """Whether nothing was left out."""
        return not self._untold


def certify(box: Box) -> None:
    """What certbot would have done; and this machine's name is known on it."""
    box.run(
        f"install -d {LIVE} && cd {LIVE} && openssl req -x509 -nodes -days 2"
        f" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN={NAME}"
        f" -addext subjectAltName=DNS:{NAME} -keyout privkey.pem -out fullchain.pem"
    )
    box.run(f"echo 'cacert = {LIVE}/fullchain.pem' >/root/.curlrc; echo '127.0.0.1 {NAME}' >>/etc/hosts")


def occupied() -> list[int]:
    """Which of the ports somebody else has."""
    taken = []
    for port in PORTS:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            taken.append(port)
    return taken


@contextlib.asynccontextmanager
async def knocking() -> AsyncIterator[list[str]]:
    """Somebody asks again and again, on a new connection each time. Gives what was wrong with the answers."""
    wrong: list[str] = []
    count = 0

    async def knock() -> None:
        nonlocal count
        while True:
            async with httpx.AsyncClient(verify=False, trust_env=False, timeout=30.0) as client:
                try:
                    answer = await client.get("https://127.0.0.1/health", headers={"Host": NAME})
                    if answer.status_code != 200:
                        wrong.append(f"{answer.status_code}: {answer.text}")
                except httpx.HTTPError as error:
                    wrong.append(repr(error))
            count += 1
            await asyncio.sleep(0.02)

    visitor = asyncio.create_task(knock())
    yield wrong
    before = count
    while count < before + 2 and not visitor.done():  # it has been asked once more, from beginning to end
        await asyncio.sleep(0.02)
    visitor.cancel()


@contextlib.asynccontextmanager
async def two_people() -> AsyncIterator[tuple[Person, Person]]:
    """Ada and Bob, each in a browser of their own, before the page."""
    async with chromium(f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as browser:
        people = []
        for name in ("Ada", "Bob"):
            context = await browser.new_context(permissions=DEVICES, ignore_https_errors=True)
            page = await context.new_page()
            await page.goto(URL)
            people.append(Person(name, page))
        yield people[0], people[1]


async def during(work: Callable[[], object], speaker: Person, hearer: Person) -> None:
    """The work is done while somebody speaks, somebody hears it, and somebody else comes along."""
    async with knocking() as wrong:
        doing = asyncio.create_task(asyncio.to_thread(work))
        said = [f"{speaker.name} says {uuid4()}" for _ in range(5)]
        for text in said:
            await speaker.says(text)
        await doing
        for text in said:
            await hearer.reads(text)
    assert wrong == []


async def is_only_others() -> bool:
    """Whether only what has nothing to do with us listens still."""
    return occupied() == [80, 3478, 5349]


def believes(box: Box, username: str, credential: str) -> bool:
    """Whether coturn does. It relays to nobody on this machine, but that is not what it says to strangers."""
    said = box.run(
        f"turnutils_uclient -v -u {username} -w {credential} -e 127.0.0.1 -n 1 127.0.0.1", check=False
    ).stdout
    print(said)
    return "403" in said


def version_of(box: Box) -> str:
    """Which version serves."""
    return str(json.loads(box.tells("curl --silent --fail http://127.0.0.1:3000/health"))["version"])


async def test_guide_leads_to_a_meeting_that_outlives_a_restart_and_an_upgrade(box: Box) -> None:
    assert occupied() == [], "these ports must be free"
    guide = Guide(box)
    guide.follow("From nothing to a running service")
    guide.follow("1. Packages")
    said = await asyncio.to_thread(guide.follow, "2. The server")
    assert "mikroroom 0.1.0" in said and '"status":"ok"' in said
    certify(box)
    guide.follow("3. nginx and TLS")
    turn = json.loads(guide.follow("4. TURN").splitlines()[-1])["iceServers"][-1]
    assert believes(box, turn["username"], turn["credential"])
    assert not believes(box, turn["username"], "another")

    async with two_people() as (ada, bob):
        code = await ada.makes_a_meeting()
        await bob.enters(code)
        await all_see_each_other(ada, bob)
        for person in (ada, bob):
            await person.presses("Chat")
        await during(lambda: box.run("systemctl restart mikroroom"), ada, bob)
        box.run(f"sed -i s/0.1.0/0.2.0/ {CHECKOUT}/src/mikroroom/__init__.py")
        await during(lambda: guide.follow("From one version to the next"), bob, ada)
        assert version_of(box) == "0.2.0"
        await during(lambda: guide.follow("And back"), ada, bob)
        assert version_of(box) == "0.1.0"
        await all_see_each_other(ada, bob)

    said = guide.follow("To see what goes on")
    assert "participants" in said and "mikroroom_joins_total" in said
    guide.follow("Away with it")
    assert guide.is_done()
    await until(is_only_others, "the ports are free again")
