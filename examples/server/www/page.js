// page.js: the few things every part of the page uses.

/** $ finds an element by its id. */
export const $ = (id) => document.getElementById(id);

const WORDS = { connecting: "connecting", open: "live", lost: "reconnecting", paused: "paused" };

/** showState writes a link's state into the chip with that id. */
export function showState(id, state) {
  const chip = $(id);
  if (chip.dataset.state !== state) {
    chip.dataset.state = state;
    chip.textContent = WORDS[state];
  }
}

/** bytes writes a number of bytes for people: 1.5 MiB. */
export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${n.toFixed(i === 0 || n >= 100 ? 0 : 1)} ${units[i]}`;
}

/** count writes a whole number with thin gaps between thousands. */
export function count(n) {
  return Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
