// pens.js: three ways to hold the pen. Each hands strokes to a drawing whose
// add(stroke) may refuse; a refused stroke is a gap in the line, not a debt.

import { circle, line } from "./strokes.js";

const TAP = 2;     // units: a pointer that moved less leaves a circle
const RADIUS = 8;  // units, of that circle

/** pointerPen draws with mouse, pen and any number of fingers. */
export function pointerPen(canvas, drawing, { width, height, colour }) {
  const down = new Map(); // pointer id to where it was last, and whether it moved
  const where = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * width,
            (event.clientY - box.top) / box.height * height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) {
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { at: where(event), moved: false });
  });
  canvas.addEventListener("pointermove", (event) => {
    const pen = down.get(event.pointerId);
    if (!pen) {
      return;
    }
    // The screen refreshes slower than a hand moves: take all the points.
    const points = event.getCoalescedEvents?.() ?? [];
    for (const point of points.length > 0 ? points : [event]) {
      const at = where(point);
      if (Math.hypot(at[0] - pen.at[0], at[1] - pen.at[1]) < (pen.moved ? 0.5 : TAP)) {
        continue;
      }
      drawing.add(line(colour(), ...pen.at, ...at));
      pen.at = at;
      pen.moved = true;
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    const pen = down.get(event.pointerId);
    if (pen && !pen.moved) {
      drawing.add(circle(colour(), ...pen.at, RADIUS));
    }
    down.delete(event.pointerId);
  });
  canvas.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 8; // units

/** keyPen draws with the arrow keys; mark is the element that shows where. */
export function keyPen(canvas, mark, drawing, { width, height, colour }) {
  let x = width / 2, y = height / 2;
  const show = () => {
    mark.hidden = false;
    mark.style.left = `${x / width * 100}%`;
    mark.style.top = `${y / height * 100}%`;
  };
  canvas.addEventListener("blur", () => { mark.hidden = true; });
  canvas.addEventListener("pointerdown", () => { mark.hidden = true; });
  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const from = [x, y];
      x = Math.min(width, Math.max(0, x + arrow[0] * STEP));
      y = Math.min(height, Math.max(0, y + arrow[1] * STEP));
      if (event.shiftKey) {
        drawing.add(line(colour(), ...from, x, y));
      }
    } else if (event.key === " ") {
      drawing.add(circle(colour(), x, y, RADIUS));
    } else {
      return;
    }
    event.preventDefault();
    show();
  });
}

const STROKES = 6; // lines in one step

/**
 * autoPen draws rosettes without end, a step every so many milliseconds, and
 * holds still while strokes are refused. It returns the switch for it.
 */
export function autoPen(drawing, { width, height, every, colour }) {
  let timer = 0, rosette = null;
  const step = () => {
    rosette ??= newRosette(width, height, colour());
    for (let i = 0; i < STROKES; i++) {
      const next = rosette.angle + 0.06;
      if (!drawing.add(line(rosette.colour, ...rosette.at(rosette.angle), ...rosette.at(next)))) {
        return;
      }
      rosette.angle = next;
    }
    if (rosette.angle > rosette.end) {
      rosette = null;
    }
  };
  return (on) => {
    clearInterval(timer);
    timer = on ? setInterval(step, every) : 0;
  };
}

// newRosette is a hypotrochoid: what a toy of two toothed wheels draws. The
// wheels have outer and inner teeth, so the curve closes after inner turns.
function newRosette(width, height, colour) {
  const pick = (low, high) => low + Math.floor(Math.random() * (high - low + 1));
  const inner = pick(3, 7), outer = inner * 2 + pick(1, inner - 1);
  const radius = pick(30, 80), arm = 0.4 + Math.random() * 0.5;
  const x = radius + Math.random() * (width - 2 * radius);
  const y = radius + Math.random() * (height - 2 * radius);
  const unit = radius / (outer - inner + inner * arm);
  const ratio = (outer - inner) / inner;
  return {
    colour, angle: 0, end: 2 * Math.PI * inner,
    at: (t) => [
      x + unit * ((outer - inner) * Math.cos(t) + inner * arm * Math.cos(ratio * t)),
      y + unit * ((outer - inner) * Math.sin(t) - inner * arm * Math.sin(ratio * t)),
    ],
  };
}
