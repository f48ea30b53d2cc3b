// echo.js: how long a message takes to the server and back, and how many a
// second it takes. The two are measured in turns, since each would spoil the
// other: a round trip behind a queue is the length of the queue.

import { Chart } from "./chart.js";
import { Link } from "./link.js";
import { $, count, showState } from "./page.js";

const RTT_TURN = 150;  // milliseconds
const RATE_TURN = 350; // milliseconds
const HISTORY = 60;    // turns on a chart: half a minute

/**
 * Turn keeps `depth` messages in flight for `length` milliseconds and lets
 * the last ones come home. Each message starts with its number, so one that
 * is lost, repeated, changed in size or out of order is found.
 */
class Turn {
  #send;
  #message;
  #sent = 0;
  #back = 0;
  #begin = performance.now();
  #latest = this.#begin;
  #deadline;

  constructor(send, { size, depth, length }) {
    this.#send = send;
    this.#message = new DataView(new ArrayBuffer(size));
    this.#deadline = this.#begin + length;
    for (let i = 0; i < depth; i++) {
      this.#next();
    }
  }

  /** back takes one echoed message; false means that it is not ours. */
  back(data) {
    if (!(data instanceof ArrayBuffer) || data.byteLength !== this.#message.byteLength
        || new DataView(data).getUint32(0) !== this.#back) {
      return false;
    }
    this.#back++;
    this.#latest = performance.now();
    if (this.#latest < this.#deadline) {
      this.#next();
    }
    return true;
  }

  /** done says that all messages are home. */
  get done() {
    return this.#back === this.#sent;
  }

  /** interval is the milliseconds from one message home to the next, mean. */
  get interval() {
    return (this.#latest - this.#begin) / this.#back;
  }

  #next() {
    this.#message.setUint32(0, this.#sent++);
    this.#send(this.#message.buffer);
  }
}

class Meter {
  #link;
  #turn = null;
  #kind = "rate"; // of the turn, "rtt" or "rate"
  #charts = {
    rtt: new Chart($("echo-rtt-chart"), HISTORY, (value) => `${value.toPrecision(2)} ms`),
    rate: new Chart($("echo-rate-chart"), HISTORY, count),
  };
  on = false;

  constructor(link) {
    this.#link = link;
    link.onmessage = (data) => this.#received(data);
  }

  /** run starts or stops; a stop lets what is under way come home unseen. */
  run(on) {
    this.on = on;
    if (on && !this.#turn) {
      this.#next();
    }
  }

  /** lost forgets the turn that the connection took along. */
  lost() {
    this.#turn = null;
    this.#charts.rtt.push(null);
    this.#charts.rate.push(null);
  }

  #next() {
    this.#turn = null;
    if (!this.on || this.#link.state !== "open") {
      return;
    }
    const rtt = this.#kind === "rate";
    this.#kind = rtt ? "rtt" : "rate";
    this.#turn = new Turn((data) => this.#link.send(data), {
      size: Number($("echo-size").value),
      depth: rtt ? 1 : Number($("echo-depth").value),
      length: rtt ? RTT_TURN : RATE_TURN,
    });
  }

  #received(data) {
    const turn = this.#turn;
    if (!turn) {
      return;
    }
    if (!turn.back(data)) {
      this.#fail();
    } else if (turn.done) {
      this.#record(turn.interval);
      this.#next();
    }
  }

  #record(interval) {
    if (!this.on || !(interval > 0)) {
      return;
    }
    const rtt = this.#kind === "rtt";
    this.#charts[this.#kind].push(rtt ? interval : 1000 / interval);
    if (rtt) {
      $("echo-rtt").textContent = `${interval.toFixed(interval < 10 ? 3 : 1)} ms`;
    } else {
      $("echo-rate").textContent = count(1000 / interval);
    }
  }

  #fail() {
    this.on = false;
    this.#turn = null;
    showButton(false);
    $("echo-state").dataset.state = "lost";
    $("echo-state").textContent = "wrong echo";
  }
}

function showButton(on) {
  const button = $("echo-start");
  button.setAttribute("aria-pressed", String(on));
  button.textContent = on ? "Stop" : "Start";
}

export function echo(server) {
  const link = new Link("/", "anyloop-echo", { after: server });
  const meter = new Meter(link);
  link.onstate = (state) => showState("echo-state", state);
  link.onopen = () => meter.run(meter.on);
  link.onclose = () => meter.lost();
  $("echo-start").onclick = () => {
    meter.run(!meter.on);
    showButton(meter.on);
  };
  return link;
}
