/** @import { Devices } from "./devices.js" */
import { copy, find, show, write } from "./dom.js";

const KINDS = /** @type {const} */ ([
  ["audio", "audioinput", "Microphone"],
  ["video", "videoinput", "Camera"],
  ["speaker", "audiooutput", "Speaker"],
]);

/** Not every browser lets a page choose where sound goes. */
const CAN_ROUTE = "setSinkId" in HTMLMediaElement.prototype;

/**
 * Let the person choose a microphone, a camera and a speaker.
 *
 * @param {HTMLElement} root where the lists go
 * @param {Devices} devices
 * @returns {() => Promise<void>} brings the lists up to date
 */
export function deviceLists(root, devices) {
  const lists = KINDS.map(([kind, deviceKind, label]) => {
    const field = copy("device-template");
    const list = find(field, "select", HTMLSelectElement);
    list.id = `${root.closest("[id]")?.id}-${kind}`;
    const name = find(field, "label", HTMLLabelElement);
    write(name, label);
    name.htmlFor = list.id;
    show(field, false);
    list.onchange = () => void devices.choose(kind, list.value);
    return { kind, deviceKind, field, list };
  });
  root.replaceChildren(...lists.map(({ field }) => field));

  return async () => {
    const all = await devices.list();
    for (const { kind, deviceKind, field, list } of lists) {
      // Without permission the browser says neither names nor ids.
      const found = all.filter((device) => device.kind === deviceKind && device.deviceId);
      const track = kind === "speaker" ? null : devices.tracks[kind];
      const current = track?.getSettings().deviceId ?? devices.chosen[kind];
      list.replaceChildren(
        ...found.map(({ deviceId, label }, index) => {
          const isCurrent = deviceId === current;
          return new Option(label || `${kind} ${index + 1}`, deviceId, isCurrent, isCurrent);
        }),
      );
      show(field, found.length > 0 && (kind !== "speaker" || CAN_ROUTE));
    }
  };
}
