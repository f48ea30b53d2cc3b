// anyloop-dim.js: a page that says so when its connection is gone.
//
// Import it into any page; it needs nothing else and styles itself:
//
//     import { dim, newWS } from "/anyloop-dim.js";
//
//     dim(true);
//     const ws = newWS("/", "my-protocol");
//     ws.onopen = () => dim(false);
//     ws.onclose = () => dim(true, { message: "Connection lost" });
//
// For pages that used libwebsockets' lws-common.js:
//
//     lws_gray_out(visible, options)   dim(visible, options), the same options
//     new_ws(url, protocol)            newWS(url, protocol)
//     get_appropriate_ws_url(extra)    socketURL(extra)
//     lws_san(s)                       san(s)
//     gsize(which)                     pageSize()

const ID = "anyloop-dim";

// What had the keyboard focus when the page was dimmed: it gets it back.
let focused = null;

/**
 * dim covers the page (true) or uncovers it (false). Calling it again with
 * true applies new options to the one overlay there is.
 *
 * While covered, the page behind takes no clicks and no keys.
 *
 * @param {boolean} visible
 * @param {object} [options]
 * @param {number|string} [options.zindex=50]   stacking order of the overlay
 * @param {number} [options.opacity=70]         of the shade, in percent
 * @param {string} [options.bgcolor="#000000"]  of the shade, any CSS colour
 * @param {string} [options.message=""]         shown and read aloud; plain text
 */
export function dim(visible, options = {}) {
  const overlay = document.getElementById(ID) ?? createOverlay();
  const { zindex = 50, opacity = 70, bgcolor = "#000000", message = "" } = options;
  const [shade, note] = overlay.children;
  if (visible) {
    overlay.style.zIndex = String(zindex);
    shade.style.background = bgcolor;
    shade.style.opacity = String(opacity / 100);
    note.style.display = message ? "" : "none";
  }
  const text = visible ? message : "";
  if (note.textContent !== text) {
    note.textContent = text;
  }
  if (overlay.dataset.visible !== String(visible)) {
    overlay.dataset.visible = String(visible);
    show(overlay, visible);
  }
}

// show fades the overlay. A short loss should not flash, so the shade comes
// slowly and leaves fast, and visibility follows the fade when it goes.
function show(overlay, visible) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  overlay.style.transition = still ? "none"
    : visible ? "opacity 350ms ease-in 100ms"
    : "opacity 150ms ease-out, visibility 0s 150ms";
  overlay.style.opacity = visible ? "1" : "0";
  overlay.style.visibility = visible ? "visible" : "hidden";
  // While it fades away the overlay is still there, but no longer in the way.
  overlay.style.pointerEvents = visible ? "auto" : "none";
  if (!document.body) {
    return;
  }
  if (visible) {
    focused = document.activeElement;
  }
  document.body.inert = visible;
  if (!visible) {
    focused?.focus?.({ preventScroll: true });
    focused = null;
  }
}

// createOverlay hangs the overlay beside <body>, not inside it, so that body
// can be made inert without silencing the message.
//
// It is fixed to the window's four edges: the browser keeps it covering the
// page while the window changes size, and there is no resize listener to
// forget about. (lws-common.js adds one at each call and can remove none.)
function createOverlay() {
  const overlay = document.createElement("div");
  overlay.id = ID;
  overlay.dataset.visible = "false";
  Object.assign(overlay.style, {
    position: "fixed", inset: "0", opacity: "0", visibility: "hidden",
    display: "grid", placeItems: "center",
  });
  const shade = document.createElement("div");
  Object.assign(shade.style, { position: "absolute", inset: "0" });
  const note = document.createElement("p");
  note.setAttribute("role", "status");
  Object.assign(note.style, {
    position: "relative", display: "none", margin: "1rem", padding: "0.9em 1.4em",
    borderRadius: "999px", background: "#fff", color: "#171a21",
    font: "500 1rem/1.3 system-ui, sans-serif", boxShadow: "0 8px 40px rgb(0 0 0 / 35%)",
  });
  overlay.append(shade, note);
  document.documentElement.append(overlay);
  return overlay;
}

/**
 * socketURL is the WebSocket address of a path on the host this page came
 * from: wss: when the page came over https:, else ws:.
 *
 * @param {string} [path="/"] with its query, if any
 * @returns {string}
 */
export function socketURL(path = "/") {
  const url = new URL(path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}

/**
 * newWS opens a WebSocket to a path on this page's host, or to a full ws: or
 * wss: address.
 *
 * @param {string} url
 * @param {string|string[]} [protocols] subprotocols to offer, best first
 * @returns {WebSocket}
 */
export function newWS(url, protocols = []) {
  return new WebSocket(/^wss?:/i.test(url) ? url : socketURL(url), protocols);
}

/**
 * san returns text that came from elsewhere if it cannot open an HTML tag,
 * else the words "invalid string". Prefer textContent, which needs no such
 * check; this is for pages that build HTML out of strings.
 *
 * @param {string} text
 * @returns {string}
 */
export function san(text) {
  return String(text).includes("<") ? "invalid string" : String(text);
}

/**
 * pageSize is the size of the whole document, scrolled-out parts included,
 * or of the window where that is larger. In CSS pixels.
 *
 * @returns {{width: number, height: number}}
 */
export function pageSize() {
  const root = document.documentElement;
  return {
    width: Math.max(root.clientWidth, root.scrollWidth),
    height: Math.max(root.clientHeight, root.scrollHeight),
  };
}
