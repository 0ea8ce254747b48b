"""What is kept in the checkout is what the code makes."""

import subprocess
from pathlib import Path

import pytest

from mikroroom.contracts.__main__ import contents, write

ROOT = Path(__file__).parents[2]

PROGRAM = """
import type { IceConfiguration, Message, Request } from "./messages";

const said: Request = { type: "chat", text: "Hello" };
const candidate: Request = { type: "ice-candidate", targetId: "", candidate: new RTCIceCandidate().toJSON() };

function hear(message: Message): string {
  switch (message.type) {
    case "chat": return message.text;
    case "error": return message.code === "ROOM_FULL" ? "full" : message.message;
    case "ice-candidate": new RTCPeerConnection().addIceCandidate(message.candidate); return "";
    default: return message.participantId;
  }
}
export const connect = (config: IceConfiguration) => new RTCPeerConnection(config);
export const words = [hear, said, candidate];
"""

WRONG = """
import type { Request } from "./messages";
export const said: Request = { type: "chat", txt: "Hello" };
"""


@pytest.mark.parametrize("name", contents())
def test_file_is_as_the_code_makes_it(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == contents()[name], "run `make contracts`"


def test_writing_makes_all_of_them(tmp_path: Path) -> None:
    write(tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == contents().keys()


@pytest.mark.parametrize(("program", "problems"), [(PROGRAM, 0), (WRONG, 1)], ids=["right", "wrong"])
def test_declarations_are_what_typescript_takes(
    program: str, problems: int, tmp_path: Path, modules: Path
) -> None:
    (tmp_path / "messages.d.ts").write_text(contents()["docs/contracts/messages.d.ts"], "utf-8")
    (tmp_path / "client.ts").write_text(program)
    done = subprocess.run(
        [
            modules / ".bin" / "tsc",
            "--strict",
            "--noEmit",
            "--pretty",
            "false",
            "--lib",
            "es2022,dom",
            "client.ts",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.count("error TS") == problems, done.stdout + done.stderr
