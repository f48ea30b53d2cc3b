// strokes.js: the text of the mirror, as libwebsockets' own pages speak it.
//
//     d COLOUR X1 Y1 X2 Y2;      a line
//     c COLOUR X Y RADIUS;       a circle
//
// COLOUR is #rrggbb, or a CSS colour name. A message holds any number of
// strokes. For a line the colour may also stand last and go without its #.

const COLOUR = /^(?:#?[0-9a-f]{6}|[a-z]{3,20})$/i;
const HEX = /^[0-9a-f]{6}$/i;
const NUMBERS = { d: 4, c: 3 };

/** line is the text of a line; colour is #rrggbb. */
export function line(colour, x1, y1, x2, y2) {
  return `d ${colour} ${short(x1)} ${short(y1)} ${short(x2)} ${short(y2)};`;
}

/** circle is the text of a circle; colour is #rrggbb. */
export function circle(colour, x, y, radius) {
  return `c ${colour} ${short(x)} ${short(y)} ${short(radius)};`;
}

// Tenths of a unit are as fine as a screen shows.
function short(n) {
  return Math.round(n * 10) / 10;
}

/**
 * parse lists the strokes of a message. What is not a stroke is left out:
 * the text comes from strangers.
 *
 * @param {string} text
 * @returns {{kind: string, colour: string, numbers: number[]}[]}
 */
export function parse(text) {
  return String(text).split(";").map(parseStroke).filter((stroke) => stroke !== null);
}

function parseStroke(text) {
  const [kind, ...words] = text.trim().split(/\s+/);
  if (words.length !== NUMBERS[kind] + 1) {
    return null;
  }
  // A coordinate is never as long as a colour, so the first word tells.
  const at = COLOUR.test(words[0]) ? 0 : words.length - 1;
  const [colour] = words.splice(at, 1);
  const numbers = words.map(Number);
  if (!COLOUR.test(colour) || !numbers.every((n) => Math.abs(n) < 1e5)
      || (kind === "c" && numbers[2] < 0)) {
    return null;
  }
  return { kind, colour: HEX.test(colour) ? `#${colour}` : colour, numbers };
}
