// status.js: what the server says about itself. This is also the link that
// tells whether there is a server: it speaks about once a second.

import { Link } from "./link.js";
import { $, bytes, count } from "./page.js";

const SILENCE = 6000;  // milliseconds without a word, and the server is gone
const MAX_ROWS = 100;  // connections listed one by one
const RATE_AFTER = 0.5; // seconds of server time that a rate is taken over

// Most say more than one of these names; the first that fits is the truth.
const BROWSERS = [
  [/Edg\/(\d+)/, "Edge"], [/OPR\/(\d+)/, "Opera"], [/Firefox\/(\d+)/, "Firefox"],
  [/Chrom(?:e|ium)\/(\d+)/, "Chrome"], [/Version\/(\d+).*Safari/, "Safari"],
];

function browser(ua) {
  for (const [pattern, name] of BROWSERS) {
    const found = pattern.exec(ua);
    if (found) {
      return `${name} ${found[1]}`;
    }
  }
  return ua || "–";
}

function duration(seconds) {
  const s = Math.floor(seconds);
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${m} min`;
  return m > 0 ? `${m} min ${s % 60} s` : `${s} s`;
}

const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

function row({ id, ip, proto, ua }) {
  const tr = document.createElement("tr");
  const cells = [[String(id ?? ""), ""], [ip ?? "", ""], [proto || "http", ""], [browser(ua), ua ?? ""]];
  for (const [text, title] of cells) {
    const td = document.createElement("td");
    td.textContent = text; // never HTML: a user agent is a stranger's text
    td.title = title;
    tr.append(td);
  }
  return tr;
}

// rates shows bytes per second between two reports of the same server. More
// reports than one a second come when pages open and close: too near to tell.
let before = null;
function rates(now) {
  const seconds = before ? now.uptime - before.uptime : 0;
  if (before && seconds >= 0 && seconds < RATE_AFTER) {
    return;
  }
  if (seconds > 0) {
    $("status-rx-rate").textContent = `${bytes((now.rx - before.rx) / seconds)}/s`;
    $("status-tx-rate").textContent = `${bytes((now.tx - before.tx) / seconds)}/s`;
  }
  before = now;
}

function show(now) {
  $("status-loop").textContent = now.loop;
  $("status-threads").textContent = plural(now.threads, "thread");
  $("status-open").textContent = count(now.open);
  $("status-accepted").textContent = `${count(now.accepted)} since start`;
  $("status-rx").textContent = bytes(now.rx);
  $("status-tx").textContent = bytes(now.tx);
  $("status-memory").textContent = bytes(now.memory);
  $("status-goroutines").textContent = plural(now.goroutines, "goroutine");
  $("status-uptime").textContent = duration(now.uptime);
  $("status-version").hidden = !now.version;
  $("status-version").textContent = now.version ?? "";
  rates(now);
  const conns = (now.conns ?? []).sort((a, b) => a.id - b.id);
  $("status-conns").replaceChildren(...conns.slice(0, MAX_ROWS).map(row));
  const more = Math.max(conns.length, now.open) - Math.min(conns.length, MAX_ROWS);
  $("status-more").hidden = more <= 0;
  $("status-more").textContent = `and ${count(more)} more`;
}

export function status() {
  const link = new Link("/", "lws-status", { silence: SILENCE });
  link.onmessage = (text) => show(JSON.parse(text));
  link.onclose = () => { before = null; };
  return link;
}
