// link.js: a WebSocket that comes back.

import { newWS } from "./anyloop-dim.js";

const FIRST_RETRY = 150;  // milliseconds, before jitter
const LAST_RETRY = 2000;  // milliseconds, the most between two tries
const OPEN_LIMIT = 5000;  // milliseconds for one try

// backoff is how long to wait before try number n (from 0), in milliseconds.
// It doubles up to LAST_RETRY; half of it is random so that a hundred pages
// that lost the same server do not come back in the same millisecond.
function backoff(n) {
  const most = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** Math.min(n, 10));
  return most / 2 + Math.random() * most / 2;
}

/**
 * Link keeps one subprotocol connected.
 *
 * `state` is "connecting" (first time), "open", or "lost" (it was open, or
 * the first try failed; the next try is on its way). The callbacks, all
 * optional: `onopen()`, `onmessage(data)`, `onclose(CloseEvent)`, and
 * `onstate(state)` at each change.
 */
export class Link {
  state = "connecting";
  onopen = () => {};
  onmessage = () => {};
  onclose = () => {};
  onstate = () => {};

  #ws = null;
  #tries = 0;
  #retry = 0;    // timer of the next try, 0 when none is due
  #watchdog = 0; // timer of the limit on a try, then of the silence limit
  #followers = [];

  /**
   * @param {string} path of the server, with its query
   * @param {string} protocol the subprotocol
   * @param {object} [options]
   * @param {number} [options.silence=0] milliseconds without a message after
   *   which the connection counts as lost, for servers that speak regularly;
   *   0 is no limit. A network that vanished sends no close: this notices.
   * @param {Link} [options.after] connect only while that link is open, so
   *   that one link of a page knocks at a closed door and not all of them
   */
  constructor(path, protocol, { silence = 0, after = null } = {}) {
    this.path = path;
    this.protocol = protocol;
    this.silence = silence;
    this.after = after;
    after?.#followers.push(this);
  }

  /** start makes the first try. */
  start() {
    this.#connect();
  }

  /** retry tries at once instead of waiting, if a try is due. */
  retry() {
    if (!this.#ws) {
      this.#connect();
    }
  }

  /** send reports whether the message was handed to an open connection. */
  send(data) {
    if (this.state !== "open") {
      return false;
    }
    this.#ws.send(data);
    return true;
  }

  /** buffered is how many bytes the browser still holds back, in bytes. */
  get buffered() {
    return this.#ws?.bufferedAmount ?? 0;
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    if (this.#ws || (this.after && this.after.state !== "open")) {
      return; // the leader calls again once it is open
    }
    const ws = newWS(this.path, this.protocol);
    ws.binaryType = "arraybuffer";
    this.#ws = ws;
    this.#watch(OPEN_LIMIT);
    // Events of a socket that was given up are nobody's any more.
    const mine = (f) => (event) => { if (ws === this.#ws) f(event); };
    ws.onopen = mine(() => this.#opened());
    ws.onmessage = mine((event) => {
      this.#watch(this.silence);
      this.onmessage(event.data);
    });
    ws.onclose = mine((event) => this.#closed(event));
  }

  #opened() {
    this.#tries = 0;
    this.#watch(this.silence);
    this.#become("open");
    this.onopen();
    this.#followers.forEach((link) => link.retry());
  }

  #closed(event) {
    clearTimeout(this.#watchdog);
    this.#ws = null;
    this.#become("lost");
    this.onclose(event);
    this.#retry = setTimeout(() => this.#connect(), backoff(this.#tries++));
  }

  // #watch gives the other side so many milliseconds to say something; 0 is
  // for ever.
  #watch(limit) {
    clearTimeout(this.#watchdog);
    if (limit > 0) {
      this.#watchdog = setTimeout(() => this.#silent(), limit);
    }
  }

  // What took this connection along without a word took the followers' too;
  // they would notice only when they speak.
  #silent() {
    const open = this.state === "open";
    this.#abandon();
    if (open) {
      this.#followers.forEach((link) => link.#abandon());
    }
  }

  // A closing handshake with a peer that is gone would wait for minutes, so
  // the socket is let go first and told to close afterwards.
  #abandon() {
    const ws = this.#ws;
    if (ws) {
      this.#closed(new CloseEvent("close", { code: 1006, reason: "silence" }));
      ws.close();
    }
  }

  #become(state) {
    if (state !== this.state) {
      this.state = state;
      this.onstate(state);
    }
  }
}
