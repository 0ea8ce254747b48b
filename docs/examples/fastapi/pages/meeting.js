import { Room, Signaling } from "/meet/web/mikroroom.js";

const code = location.pathname.split("/").pop();
const signaling = new Signaling(`${location.origin.replace("http", "ws")}/meet/ws`);
const room = new Room(signaling);

const button = document.querySelector("#join");
const people = document.querySelector("#people");
const status = document.querySelector("#status");
const form = document.querySelector("#say");

room.on("change", () => {
  const all = [room.self, ...room.participants.values()].filter(Boolean);
  people.replaceChildren(...all.map(({ name, isModerator }) => entry(isModerator ? `${name} (moderates)` : name)));
});
signaling.on("chat", ({ participantId, text }) => {
  document.querySelector("#said").append(entry(`${room.nameOf(participantId)}: ${text}`));
});
signaling.on("suspended", () => (status.textContent = "The connection is lost. Coming back…"));
signaling.on("resumed", () => (status.textContent = "You are in"));
signaling.on("closed", (error) => leave(error.message));

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    // A token is for one join, now. Whoever has to join anew later presses the button again, and gets another one.
    await signaling.join({ roomId: code, token: await newToken() });
    status.textContent = "You are in";
  } catch (error) {
    leave(error.message);
  }
});
button.disabled = false; // now that somebody listens

form.addEventListener("submit", (event) => {
  event.preventDefault();
  signaling.chat(form.elements.text.value);
  form.reset();
});

async function newToken() {
  const answer = await fetch(`/meetings/${code}/token`, { method: "POST" });
  const { token, detail } = await answer.json();
  if (!answer.ok) throw new Error(detail);
  return token;
}

function entry(text) {
  return Object.assign(document.createElement("li"), { textContent: text });
}

function leave(why) {
  status.textContent = why;
  button.disabled = false;
}
