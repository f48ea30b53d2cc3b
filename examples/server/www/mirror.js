// mirror.js: one drawing shared by all pages, and the brakes that go with it.
//
// Nothing is drawn when the pen moves. Each stroke goes to the server, which
// sends it to everybody including us, and only then it appears: so all pages
// show the same, and a stroke that came back is also the receipt for it.
// When a page that cannot keep up makes the server stop reading, receipts
// stop too; then this page stops producing instead of piling up strokes.

import { Link } from "./link.js";
import { $, showState } from "./page.js";
import { circle, line, parse } from "./strokes.js";
import { autoPen, keyPen, pointerPen } from "./pens.js";

// The size of the drawing that libwebsockets' own page uses, so that strokes
// land in the same place on both.
export const WIDTH = 480;
export const HEIGHT = 300;
const SCALE = 3; // canvas pixels per unit, for sharp lines on large screens

const MAX_MESSAGE = 400;  // characters, the size at which stock pages flush
const MAX_UNDER_WAY = 16; // own messages sent and not yet come back
const MAX_BUFFERED = 4096; // bytes that the browser may hold back for us
const TICK = 16;          // milliseconds in which strokes gather into messages

class Mirror {
  #link;
  #ctx;
  #strokes = [];   // drawn by our pens, not yet sent
  #underWay = [];  // messages sent and not yet come back, oldest first
  #timer = 0;

  constructor(link, canvas) {
    this.#link = link;
    canvas.width = WIDTH * SCALE;
    canvas.height = HEIGHT * SCALE;
    this.#ctx = canvas.getContext("2d", { willReadFrequently: true });
    this.#ctx.lineCap = "round";
    this.#ctx.lineWidth = 2;
    this.#ctx.scale(SCALE, SCALE);
    link.onmessage = (text) => this.#received(text);
    link.onstate = () => this.#stateChanged();
  }

  /** paused says that pens have to wait: the server is not keeping up. */
  get paused() {
    return this.#underWay.length >= MAX_UNDER_WAY || this.#link.buffered > MAX_BUFFERED;
  }

  /** add takes one stroke from a pen; false means that it was refused. */
  add(stroke) {
    if (this.#link.state !== "open" || this.paused) {
      return false;
    }
    this.#strokes.push(stroke);
    this.#later();
    return true;
  }

  /** clear empties this page's view of the drawing, nobody else's. */
  clear() {
    this.#ctx.clearRect(0, 0, WIDTH, HEIGHT);
  }

  /** pixel is the [red, green, blue, alpha] drawn at a point. */
  pixel(x, y) {
    return [...this.#ctx.getImageData(x * SCALE, y * SCALE, 1, 1).data];
  }

  /** ink is how many pixels of the canvas have been drawn on. */
  ink() {
    const { data } = this.#ctx.getImageData(0, 0, WIDTH * SCALE, HEIGHT * SCALE);
    let n = 0;
    for (let i = 3; i < data.length; i += 4) {
      n += data[i] > 0;
    }
    return n;
  }

  #received(text) {
    // The server keeps the order, so the oldest under way comes back first.
    if (text === this.#underWay[0]) {
      this.#underWay.shift();
      this.#showState();
    }
    for (const { kind, colour, numbers } of parse(text)) {
      const [x, y, ...rest] = numbers;
      this.#ctx.strokeStyle = colour;
      this.#ctx.beginPath();
      if (kind === "c") {
        this.#ctx.arc(x, y, rest[0], 0, 2 * Math.PI);
      } else {
        this.#ctx.moveTo(x, y);
        this.#ctx.lineTo(...rest);
      }
      this.#ctx.stroke();
    }
  }

  #flush() {
    while (this.#strokes.length > 0 && !this.paused) {
      let message = this.#strokes.shift();
      while (this.#strokes.length > 0
             && message.length + this.#strokes[0].length <= MAX_MESSAGE) {
        message += this.#strokes.shift();
      }
      this.#link.send(message);
      this.#underWay.push(message);
    }
    this.#showState();
    if (this.#strokes.length > 0 || this.paused) {
      this.#later(); // no event tells that the browser's own buffer drained
    }
  }

  #later() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#flush();
    }, TICK);
  }

  #stateChanged() {
    this.#strokes = [];
    this.#underWay = [];
    this.#showState();
  }

  #showState() {
    const state = this.#link.state;
    showState("mirror-state", state === "open" && this.paused ? "paused" : state);
  }
}

// colour is the chosen one as the wire wants it: #rrggbb.
function colour() {
  const radio = document.querySelector("#mirror-colours input[type=radio]:checked");
  return radio ? radio.value : $("mirror-own").value;
}

function connectTools(mirror) {
  const radios = document.querySelectorAll("#mirror-colours input[type=radio]");
  $("mirror-own").oninput = () => radios.forEach((radio) => { radio.checked = false; });
  $("mirror-clear").onclick = () => mirror.clear();
  const auto = autoPen(mirror, { width: WIDTH, height: HEIGHT, every: TICK, colour });
  $("mirror-auto").onclick = ({ currentTarget: button }) => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    auto(on);
  };
}

/**
 * mirror connects the drawing. The page's query string may name one of the
 * server's drawings: ?mirror=name.
 */
export function mirror(server) {
  const name = new URLSearchParams(location.search).get("mirror") ?? "";
  if (name) {
    $("mirror-room").hidden = false;
    $("mirror-room").textContent = name;
  }
  const path = name ? `/?mirror=${encodeURIComponent(name)}` : "/";
  const link = new Link(path, "lws-mirror-protocol", { after: server });
  const canvas = $("mirror-canvas");
  const shared = new Mirror(link, canvas);
  const size = { width: WIDTH, height: HEIGHT, colour };
  pointerPen(canvas, shared, size);
  keyPen(canvas, $("mirror-pen"), shared, size);
  connectTools(shared);
  return { link, shared, line, circle };
}
