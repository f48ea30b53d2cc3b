// increment.js: a number that the server counts up for this connection.

import { Link } from "./link.js";
import { $, showState } from "./page.js";

export function increment(server) {
  const link = new Link("/", "dumb-increment-protocol", { after: server });
  const value = $("inc-value");
  link.onmessage = (text) => { value.textContent = text; };
  link.onstate = (state) => {
    showState("inc-state", state);
    $("inc-reset").disabled = $("inc-close").disabled = state !== "open";
  };
  link.onclose = ({ code, reason }) => {
    if (code !== 1006) {
      $("inc-state").textContent = `closed ${code} ${reason}`.trimEnd();
    }
  };
  $("inc-reset").onclick = () => link.send("reset\n");
  $("inc-close").onclick = () => link.send("closeme\n");
  return link;
}
