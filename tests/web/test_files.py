"""Files from page to page: what ``mikroroom.js`` does with honest and with other senders."""

import pytest
from tests.site_process import Site

from .callers import Call, Caller

# As many bytes, never the same twice in a row.
MAKE = """(size) => {
  globalThis.bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8)) & 255;
  globalThis.digest = async (data) =>
    [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))].map((byte) => byte.toString(16)).join();
  globalThis.peer = [...peers][0];
}"""
OFFER = "(name) => { globalThis.sent = peer.sendFile(new File([bytes], name, { type: 'text/plain' })); }"


async def pair(site: Site, call: Call, size: int = 0) -> tuple[Caller, Caller]:
    """Two pages with a channel between them; each has made a file of that size."""
    ada, bob = await call(site, media=True), await call(site, media=True)
    await ada.joins("Ada", isHost=True)
    await bob.joins("Bob")
    for one in (ada, bob):
        await one.sees("[...peers][0]?.isOpen")
        await one.says(MAKE, size)
    return ada, bob


@pytest.mark.parametrize("size", [0, 1, 65_536, 20_000_000])
async def test_file_arrives_as_it_was_sent(site: Site, call: Call, size: int) -> None:
    ada, bob = await pair(site, call, size)
    await ada.says(OFFER, "minutes.txt")
    await bob.sees("files.length === 1")
    await ada.says("""() => {
      globalThis.most = 0;
      sent.on("change", () => (most = Math.max(most, sent.channel.bufferedAmount)));
    }""")
    assert await bob.says("files[0].info") == {"name": "minutes.txt", "size": size, "type": "text/plain"}
    await bob.says("globalThis.begun = performance.now(); files[0].accept()")
    await bob.sees("files[0].state === 'done'")
    await ada.sees("sent.state === 'done' && sent.moved === bytes.length")
    taken = "files[0].blob.arrayBuffer().then((data) => digest(data))"
    assert await bob.says(taken) == await ada.says("digest(bytes)")
    assert await bob.says("files[0].blob.type") == "application/octet-stream"
    assert await ada.says("most") <= 1_048_576 + 65_536
    for one, channel in ((ada, "sent"), (bob, "files[0]")):
        await one.sees(f"{channel}.channel.readyState === 'closed'")
        assert await one.says(f"{channel}.state") == "done"


async def test_declined_file_has_failed(site: Site, call: Call) -> None:
    ada, bob = await pair(site, call, 10)
    await ada.says(OFFER, "a.txt")
    await bob.sees("files.length === 1")
    await bob.says("files[0].decline(); files[0].accept()")
    await ada.sees("sent.state === 'failed'")
    assert await bob.says("files[0].state") == "failed"


@pytest.mark.parametrize("leaver", [0, 1])
async def test_file_has_failed_for_both_when_one_leaves_in_the_middle(
    site: Site, call: Call, leaver: int
) -> None:
    ada, bob = both = await pair(site, call, 50_000_000)
    await ada.says(OFFER, "a.bin")
    await bob.sees("files.length === 1")
    # As soon as some of it has come, so that the rest cannot have.
    leave = "{ if (file.moved > 1_000_000) signaling.leave(); }"
    files = ("sent", "files[0]")
    await both[leaver].says(f"() => {{ const file = {files[leaver]}; file.on('change', () => {leave}); }}")
    await bob.says("files[0].accept()")
    for one, file in zip(both, files, strict=True):
        await one.sees(f"{file}.state === 'failed'")
        assert await one.says(f"{file}.moved") < 50_000_000
    assert await bob.says("files[0].blob") is None


async def test_more_files_than_may_be_offered_at_once_come_one_after_the_other(
    site: Site, call: Call
) -> None:
    ada, bob = await pair(site, call, 100_000)
    await ada.says("""globalThis.all = Array.from({ length: 20 }, (_, i) => peer.sendFile(
      new File([bytes], `${i}.bin`)));""")
    await bob.sees("files.length === 16")
    await ada.sees("all.filter(({ state }) => state === 'failed').length === 4")
    await bob.says("for (const file of files) file.accept()")
    await bob.sees("files.every(({ state }) => state === 'done')")
    assert await bob.says("files.every(({ blob }) => blob.size === 100_000)")
    await ada.sees("all.filter(({ state }) => state === 'done').length === 16")
    await ada.sees("all.every(({ channel }) => channel.readyState === 'closed')")
    # Those that are done are in nobody's way.
    await ada.says(OFFER, "one-more.bin")
    await bob.sees("files.length === 17")
    assert await bob.says("files[16].info.name") == "one-more.bin"


# What a hostile page says once its hand-made offer was accepted.
LIES = {
    "too much": "channel.send(new Uint8Array(11))",
    "too much at last": "channel.send(new Uint8Array(10)); channel.send(new Uint8Array(1))",
    "too little": "channel.send(new Uint8Array(9)); setTimeout(() => channel.close(), 100)",
    "nothing, for ever": "channel.send(new Uint8Array(0))",
    "text": "channel.send('0123456789')",
}
LIE = """([info, act]) => {
  globalThis.channel = connections[0].createDataChannel("file");
  channel.onopen = () => channel.send(typeof info === "string" ? info : JSON.stringify(info));
  channel.onmessage = () => new Function(act)();
}"""


@pytest.mark.parametrize("lie", LIES)
async def test_sender_that_lies_harms_nobody(site: Site, call: Call, lie: str) -> None:
    ada, bob = await pair(site, call, 10)
    await ada.says(LIE, [{"name": "a", "size": 10, "type": ""}, LIES[lie]])
    await bob.sees("files.length === 1")
    await bob.says("files[0].accept()")
    wanted = "done" if lie == "too much at last" else "failed"
    await bob.sees(f"files[0].state === '{wanted}'")
    assert await bob.says("files[0].blob?.size ?? null") == (10 if wanted == "done" else None)
    await ada.says(OFFER, "honest.txt")
    await bob.sees("files.length === 2")
    await bob.says("files[1].accept()")
    await bob.sees("files[1].state === 'done'")


async def test_bytes_before_they_were_asked_for_are_refused(site: Site, call: Call) -> None:
    ada, bob = await pair(site, call)
    await ada.says("""() => {
      const channel = connections[0].createDataChannel("file");
      channel.onopen = () => {
        channel.send(JSON.stringify({ name: "a", size: 10, type: "" }));
        channel.send(new Uint8Array(10));
      };
    }""")
    await bob.sees("files[0]?.state === 'failed'")


NAMES = {
    "../../etc/passwd": "passwd",
    "C:\\Windows\\system.ini": "system.ini",
    "photo\u202egpj.exe": "photogpj.exe",
    "a\u0000b\nc\u007f.txt": "abc.txt",
    "\u2066\u2069": "file",
    "..": "file",
    "folder/": "file",
    "résumé 👩\u200d💻.pdf": "résumé 👩\u200d💻.pdf",
    "x" * 300 + ".txt": "x" * 251 + ".txt",
}


async def test_names_are_harmless_and_what_is_no_offer_is_ignored(site: Site, call: Call) -> None:
    ada, bob = await pair(site, call)
    for count, (name, plain) in enumerate(NAMES.items(), 1):
        await ada.says(LIE, [{"name": name, "size": 0, "type": "x" * 500}, ""])
        await bob.sees(f"files.length === {count}")
        assert await bob.says("[files.at(-1).info.name, files.at(-1).info.type.length]") == [plain, 127]
        await bob.says("files.at(-1).decline()")
        await ada.sees("channel.readyState === 'closed'")
    wrong: list[object] = [
        "nonsense",
        "null",
        "[]",
        {"name": "", "size": 1},
        {"name": "a", "size": -1},
        {"name": "a", "size": 1.5},
        {"name": "a"},
        {"name": {"toString": 1}, "size": 1},
    ]
    for offer in wrong:
        await ada.says(LIE, [offer, ""])
        await ada.sees("channel.readyState === 'closed'")
    assert await bob.says("[files.length, [...peers][0].state]") == [len(NAMES), "connected"]
