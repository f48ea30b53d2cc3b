// app.js: the four parts of the page, and the page as a whole, which dims
// itself while the server is away.

import { dim } from "./anyloop-dim.js";
import { echo } from "./echo.js";
import { increment } from "./increment.js";
import { mirror } from "./mirror.js";
import { $ } from "./page.js";
import { status } from "./status.js";

const WORDS = { connecting: "connecting", open: "connected", lost: "connection lost" };

function showConnection(state) {
  $("conn-state").dataset.state = state;
  $("conn-state").textContent = WORDS[state];
  dim(state !== "open", {
    zindex: 499,
    opacity: 55,
    bgcolor: "#0b0e14",
    message: state === "lost" ? "Connection lost. Trying again…" : "",
  });
}

const server = status();
server.onstate = showConnection;
showConnection(server.state);
const drawing = mirror(server);
const links = [server, increment(server), drawing.link, echo(server)];
links.forEach((link) => link.start());

// Somebody came back to the page, or the network did: do not make them wait
// for the next try.
const retry = () => links.forEach((link) => link.retry());
addEventListener("online", retry);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    retry();
  }
});

// For tests and for curious people at the console.
//   anyloop.pixel(x, y)  [r, g, b, a] of the drawing at that point (480 × 300)
//   anyloop.ink()        how many of its pixels have been drawn on
//   anyloop.add(stroke)  as a pen does; false while paused or not connected
window.anyloop = {
  pixel: (x, y) => drawing.shared.pixel(x, y),
  ink: () => drawing.shared.ink(),
  add: (stroke) => drawing.shared.add(stroke),
};
