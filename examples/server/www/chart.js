// chart.js: the last values of one quantity, as a line.

const PAD = 6; // CSS pixels above and below the line

/**
 * Chart draws into a canvas of any size, sharp on any screen, in the text
 * colour of the canvas element, so that a style sheet decides.
 */
export class Chart {
  #canvas;
  #values = [];
  #length;
  #label;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} length how many values fit before the oldest leaves
   * @param {function(number): string} label writes the value at the top
   */
  constructor(canvas, length, label) {
    this.#canvas = canvas;
    this.#length = length;
    this.#label = label;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.#draw());
  }

  /** push adds a value at the right; null leaves a gap. */
  push(value) {
    this.#values.push(value);
    if (this.#values.length > this.#length) {
      this.#values.shift();
    }
    this.#draw();
  }

  #draw() {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const ctx = canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    ctx.strokeStyle = ctx.fillStyle = getComputedStyle(canvas).color;
    const most = Math.max(...this.#values, 0);
    if (most === 0) {
      return;
    }
    const top = niceCeil(most);
    drawTop(ctx, this.#label(top), width);
    ctx.lineWidth = 1.75;
    ctx.lineJoin = ctx.lineCap = "round";
    for (const run of this.#runs(top, width, height)) {
      drawRun(ctx, run, height);
    }
  }

  // #runs turns the values into points, split where there are gaps.
  #runs(top, width, height) {
    const step = (width - 4) / (this.#length - 1);
    const first = this.#length - this.#values.length;
    const runs = [[]];
    this.#values.forEach((value, i) => {
      if (value === null) {
        runs.push([]);
        return;
      }
      const y = height - PAD - (value / top) * (height - 2 * PAD);
      runs.at(-1).push([2 + (first + i) * step, y]);
    });
    return runs.filter((run) => run.length > 0);
  }
}

function drawTop(ctx, label, width) {
  ctx.globalAlpha = 0.9;
  ctx.font = "11px system-ui, sans-serif";
  ctx.textBaseline = "top";
  ctx.fillText(label, 0, PAD + 3);
  ctx.globalAlpha = 0.25;
  ctx.fillRect(0, PAD, width, 1);
  ctx.globalAlpha = 1;
}

function drawRun(ctx, run, height) {
  const line = new Path2D();
  run.forEach(([x, y]) => line.lineTo(x, y));
  const area = new Path2D(line);
  area.lineTo(run.at(-1)[0], height);
  area.lineTo(run[0][0], height);
  ctx.globalAlpha = 0.13;
  ctx.fill(area);
  ctx.globalAlpha = 1;
  ctx.stroke(line);
  const [x, y] = run.at(-1);
  ctx.beginPath();
  ctx.arc(x, y, 2.25, 0, 2 * Math.PI);
  ctx.fill();
}

// niceCeil is the next 1, 1.5, 2, 3, 5 or 7 times a power of ten, so that
// the scale does not twitch with each new value.
function niceCeil(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 5, 7, 10].find((s) => s * unit >= value * 1.02);
  return (step ?? 15) * unit;
}
