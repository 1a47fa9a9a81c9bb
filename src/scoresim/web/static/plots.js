// The plots of a report, as SVG: the notes along time, and how loud they are.
"use strict";

const PLOT = { left: 34, right: 10, top: 8, bottom: 24, narrowest: 6 }; // pixels; the last is of a second

// An SVG element: (name, attributes, children or a text).
function svgElement(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const toneOf = (probability) => `p${Math.min(Math.floor(probability * 5), 4)}`;
const clockText = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const tidy = (number) => Math.round(number * 10) / 10;

// A step of 1, 2, 5, 10, 15, 30, ... seconds that leaves room for its labels.
const timeStep = (scale) => [1, 2, 5, 10, 15, 30, 60, 120, 300].find((step) => step * scale >= 55) ?? 600;

// The frame of a plot along time: x(seconds), the SVG, and its playhead. Long pieces are wider than the page.
function timePlot(host, end, height, label) {
  const inner = Math.max(host.clientWidth - PLOT.left - PLOT.right, end * PLOT.narrowest, 100);
  const scale = inner / Math.max(end, 1e-3);
  const x = (seconds) => PLOT.left + seconds * scale;
  const width = PLOT.left + inner + PLOT.right;
  const svg = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const bottom = height - PLOT.bottom;
  for (let time = 0, step = timeStep(scale); time <= end; time += step) {
    const at = tidy(x(time));
    svg.append(svgElement("line", { class: "grid", x1: at, x2: at, y1: PLOT.top, y2: bottom }));
    svg.append(svgElement("text", { x: at, y: height - 8, "text-anchor": "middle" }, clockText(time)));
  }
  const head = svgElement("line", { class: "head", x1: PLOT.left, x2: PLOT.left, y1: PLOT.top, y2: bottom });
  host.replaceChildren(svg);
  return {
    svg,
    x,
    bottom,
    finish: () => svg.append(head),
    timeAt: (clientX) => Math.min(Math.max((clientX - svg.getBoundingClientRect().left - PLOT.left) / scale, 0), end),
    move(seconds, follow) {
      const at = tidy(x(seconds));
      head.setAttribute("x1", at);
      head.setAttribute("x2", at);
      if (follow && (at < host.scrollLeft + 40 || at > host.scrollLeft + host.clientWidth - 40)) {
        host.scrollLeft = at - host.clientWidth / 4;
      }
    },
  };
}

function level(plot, y, label, right) {
  plot.svg.append(svgElement("line", { class: "grid", x1: PLOT.left, x2: right, y1: tidy(y), y2: tidy(y) }));
  plot.svg.append(svgElement("text", { x: PLOT.left - 5, y: tidy(y) + 4, "text-anchor": "end" }, label));
}

// Every note as a bar at its time and pitch. Gives the plot and the bar of every note.
function drawRoll(host, notes, end) {
  const low = Math.min(...minMax(notes.pitch)) - 2;
  const high = Math.max(...minMax(notes.pitch)) + 2;
  const height = Math.min(Math.max((high - low) * 5, 150), 320);
  const likely = notes.melody ? notes.melody.filter((p) => p >= 0.5).length : 0;
  const said = notes.melody ? `; ${likely} of ${notes.pitch.length} are more likely melody than not` : "";
  const plot = timePlot(host, end, height, `Piano roll of ${notes.pitch.length} notes${said}`);
  const row = (plot.bottom - PLOT.top) / (high - low);
  const y = (pitch) => PLOT.top + (high - pitch) * row;
  for (let pitch = Math.ceil(low / 12) * 12; pitch <= high; pitch += 12) {
    level(plot, y(pitch), `C${pitch / 12 - 1}`, plot.x(end));
  }
  const bars = notes.pitch.map((pitch, i) => {
    const left = plot.x(notes.seconds[i]);
    const width = Math.max(plot.x(notes.seconds[i] + notes.length[i]) - left - 0.5, 1.5);
    const size = { x: tidy(left), y: tidy(y(pitch) - row / 2), width: tidy(width), height: tidy(Math.max(row, 3)) };
    return svgElement("rect", { ...size, rx: 1, class: notes.melody ? toneOf(notes.melody[i]) : "p0" });
  });
  const order = [...bars.keys()].sort((a, b) => (notes.melody ? notes.melody[a] - notes.melody[b] : a - b));
  plot.svg.append(...order.map((i) => bars[i])); // the melody is drawn over the rest
  plot.finish();
  return { ...plot, bars };
}

// Given and predicted velocities: a dot for every note, a line of means over bars.
function drawLoudness(host, notes, end) {
  const plot = timePlot(host, end, 220, "Velocity of the notes along time, as given and as predicted");
  const y = (velocity) => PLOT.top + (1 - velocity / 128) * (plot.bottom - PLOT.top);
  for (const velocity of [0, 32, 64, 96, 127]) level(plot, y(velocity), String(velocity), plot.x(end));
  const kinds = [["given", notes.velocity], ["predicted", notes.loudness]];
  for (const [kind, values] of kinds) {
    const dots = values.map((v, i) => `M${tidy(plot.x(notes.seconds[i]))} ${tidy(y(v))}h0`);
    plot.svg.append(svgElement("path", { class: `dots ${kind}`, d: dots.join("") }));
  }
  for (const [kind, values] of kinds) {
    plot.svg.append(svgElement("path", { class: `means ${kind}`, d: meansOfBars(notes, values, end, plot.x, y) }));
  }
  plot.finish();
  return plot;
}

// The path of a line that stands at the mean of every bar for as long as the bar lasts.
function meansOfBars(notes, values, end, x, y) {
  const bars = new Map();
  notes.bar.forEach((bar, i) => {
    const one = bars.get(bar) ?? { start: Infinity, sum: 0, count: 0 };
    bars.set(bar, { start: Math.min(one.start, notes.seconds[i]), sum: one.sum + values[i], count: one.count + 1 });
  });
  const steps = [...bars.values()].sort((a, b) => a.start - b.start);
  return steps
    .map(({ start, sum, count }, k) => {
      const until = k + 1 < steps.length ? steps[k + 1].start : end;
      return `${k ? "L" : "M"}${tidy(x(start))} ${tidy(y(sum / count))}H${tidy(x(until))}`;
    })
    .join("");
}

function minMax(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}
