// The report in the browser: the score is engraved to the width of the window, its notes are coloured by how likely they
// are melody, and it can be played. Everything comes from the JSON in the element #data.
"use strict";

const $ = (id) => document.getElementById(id);
const { notes, sheets } = JSON.parse($("data").textContent);
const HALF = 0.5; // a note with this probability or more belongs to the melody, or to the right hand
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const SHAPES = new Set(
  "svg g path use rect ellipse circle polygon polyline line text tspan title desc defs symbol".split(" "),
);
const NARROW = 560; // pixels: below, the score is smaller
const SETTLED = 250; // milliseconds without a change of width before the score is laid out again
const CALM = 1500; // milliseconds after scrolling to a system before it is scrolled to again
const MANY = 3000; // notes: pages that are not seen are then not drawn
const REACH = 30; // pixels from a click to a note head that is still meant

const isMelody = (i) => !notes.melody || notes.melody[i] >= HALF;
const isRight = (i) => !notes.right_hand || notes.right_hand[i] >= HALF;
const nameOf = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
const chance = (i) => (notes.melody ? `, melody ${Math.round(notes.melody[i] * 100)} %` : "");
const hand = (i) => (notes.right_hand ? `, ${isRight(i) ? "right" : "left"} hand` : "");
const describe = (i) => `${nameOf(notes.pitch[i])}, bar ${notes.bar[i] + 1}${hand(i)}${chance(i)}`;
const say = (text) => ($("status").textContent = text);
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

const heads = new Map(); // index of a note -> its elements in the score
let shown = new Set(); // notes that are marked as sounding
let roll = null;
let loudness = null;
let lastSeen = {}; // the system that was scrolled to
let started = false; // before the first note and after the end of it all, nothing is marked
let follow = true; // scroll along with the music

// ---- the player and what it moves

const player = new Player(notes, {
  channel: notes.pitch.map((_, i) => (notes.melody && isMelody(i) ? 0 : 1) + (isRight(i) ? 0 : 2)),
  velocity: notes.velocity,
  onMove: (position, sounding) => {
    mark(new Set(started ? sounding : []));
    const time = `${clockText(position)} of ${clockText(player.end)}`;
    if (time !== $("time").textContent) {
      $("time").textContent = time;
      $("position").setAttribute("aria-valuetext", time);
    }
    if (document.activeElement !== $("position") || player.playing) $("position").value = position;
    roll?.move(position, player.playing);
    loudness?.move(position, player.playing);
    if (player.playing && follow && sounding.length) keepInView(heads.get(sounding[0])?.[0]);
  },
  onEnd: () => {
    showState();
    say("The end.");
  },
});

function mark(sounding) {
  for (const [these, others, on] of [[shown, sounding, false], [sounding, shown, true]]) {
    for (const i of these) {
      if (others.has(i)) continue;
      for (const element of [...(heads.get(i) ?? []), ...(roll ? [roll.bars[i]] : [])]) {
        element.classList.toggle("sounding", on);
      }
    }
  }
  shown = sounding;
}

// Scrolls when the system of a note is hidden, or below the controls; once, and then the reader may scroll on.
function keepInView(element) {
  const system = element?.closest(".system");
  if (!system || (system === lastSeen.system && performance.now() < lastSeen.until)) return;
  const box = system.getBoundingClientRect();
  const top = $("player").offsetHeight + 12; // where the controls end when they stick to the top
  const whole = box.top >= top && box.bottom <= innerHeight;
  const tall = box.height > innerHeight - top && Math.abs(box.top - top) < 12;
  if (whole || tall) return;
  lastSeen = { system, until: performance.now() + CALM };
  scrollTo({ top: scrollY + box.top - top, behavior: reduced.matches ? "auto" : "smooth" });
}

function showState() {
  document.body.classList.toggle("playing", player.playing);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
}

function barAt(position) {
  const before = player.order.filter((i) => notes.seconds[i] <= position + 1e-3);
  return notes.bar[before.at(-1) ?? player.order[0]] + 1;
}

function toggle() {
  if (player.playing) player.pause();
  else {
    follow = started = true;
    player.play();
  }
  showState();
  say(`${player.playing ? "Playing from" : "Paused in"} bar ${barAt(player.position)}.`);
}

function stop() {
  started = false;
  player.pause();
  player.seek(0);
  showState();
  say("Stopped.");
}

function goTo(i) {
  started = true;
  player.seek(notes.seconds[i]);
  say(`${describe(i)}.`);
  if (!player.playing) keepInView(heads.get(i)?.[0]);
}

// To the next onset, or the one before; of notes that begin together the highest is described.
function step(direction) {
  const now = player.position;
  const onsets = player.order.map((i) => notes.seconds[i]);
  const target = direction > 0 ? onsets.find((t) => t > now + 1e-3) : onsets.findLast((t) => t < now - 1e-3);
  if (target === undefined) return;
  const together = player.order.filter((i) => Math.abs(notes.seconds[i] - target) < 1e-3);
  goTo(together.reduce((a, b) => (notes.pitch[b] > notes.pitch[a] ? b : a)));
}

// ---- controls

$("play").addEventListener("click", toggle);
$("stop").addEventListener("click", stop);
$("position").max = player.end;
$("position").addEventListener("input", ({ target }) => {
  started = true;
  player.seek(Number(target.value));
});
$("position").addEventListener("change", () => say(`Bar ${barAt(player.position)}.`));

function slider(id, use) {
  $(id)?.addEventListener("input", ({ target }) => {
    use(Number(target.value) / 100);
    $(`${id}-value`).textContent = `${target.value} %`;
  });
}
slider("tempo", (share) => player.setTempo(share));
const shares = { melody: 1, accompaniment: 1, right: 1, left: 1 }; // of the volume
for (const name of Object.keys(shares)) {
  slider(`${name}-volume`, (share) => {
    shares[name] = share;
    for (const channel of player.volume.keys()) {
      const part = channel % 2 ? shares.accompaniment : shares.melody;
      player.setVolume(channel, part * (channel < 2 ? shares.right : shares.left));
    }
  });
}
$("predicted")?.addEventListener("change", ({ target }) => {
  player.setVelocity(target.checked ? notes.loudness : notes.velocity);
});

addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, summary, a")) return;
  const onButton = event.target.closest("button");
  if (event.key === " " && !onButton) toggle();
  else if (event.key === "ArrowRight" && !event.target.closest(".plot, .scroll")) step(1);
  else if (event.key === "ArrowLeft" && !event.target.closest(".plot, .scroll")) step(-1);
  else return;
  event.preventDefault();
});
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault(); // in a frame the address would be that of the page around it
    $(link.hash.slice(1)).scrollIntoView();
  });
}
for (const kind of ["wheel", "touchmove"]) addEventListener(kind, () => (follow = false), { passive: true });

// ---- the score

// The text or the bytes of an element that holds them, or says where they are.
async function content(id, packed) {
  const element = $(id);
  if (element.dataset.src) {
    const response = await fetch(element.dataset.src);
    if (!response.ok) throw new Error(`${element.dataset.src} is missing`);
    return packed ? new Uint8Array(await response.arrayBuffer()) : response.text();
  }
  const text = element.textContent;
  element.textContent = "";
  return packed ? Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)) : text;
}

async function startEngraver() {
  const [packed, own] = await Promise.all([content("verovio", true), content("engraver", false)]);
  const isPacked = packed[0] === 0x1f && packed[1] === 0x8b; // a server may have unpacked it on the way
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const program = isPacked ? await new Response(unpacked).blob() : packed;
  const address = URL.createObjectURL(new Blob([program, "\n", own], { type: "text/javascript" }));
  return new Worker(address);
}

// A page of the engraver as elements: shapes and words only, whatever the notation held.
function shapes(svg) {
  const root = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  for (const element of [root, ...root.querySelectorAll("*")]) {
    if (!SHAPES.has(element.localName)) {
      element.remove();
      continue;
    }
    for (const { name, value } of [...element.attributes]) {
      const link = name === "href" || name === "xlink:href";
      if (name.startsWith("on") || name === "style" || (link && !value.startsWith("#"))) element.removeAttribute(name);
    }
  }
  return document.importNode(root, true);
}

// The width of the paper between its margins, in pixels.
function inside(paper) {
  const style = getComputedStyle(paper);
  return Math.floor(paper.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
}

function showPage(paper, { sheet, svg }) {
  const page = document.createElement("div");
  page.className = "sheet";
  const drawing = shapes(svg);
  const { width, height } = drawing.viewBox.baseVal;
  page.style.containIntrinsicHeight = `${Math.round((inside(paper) * height) / width)}px`;
  page.append(drawing);
  for (const element of page.querySelectorAll("g.note")) {
    const i = sheets[sheet].notes[element.dataset.id];
    if (i === undefined) continue;
    element.dataset.note = i;
    if (notes.melody) element.classList.add(toneOf(notes.melody[i]), ...(isMelody(i) ? ["melody"] : []));
    if (shown.has(i)) element.classList.add("sounding");
    element.prepend(svgElement("title", {}, describe(i)));
    if (!heads.has(i)) heads.set(i, []);
    heads.get(i).push(element);
  }
  if (notes.melody) toneBetween(page);
  paper.append(page);
}

// What notes share, beams and the stems of chords, has the mean of their colours.
function toneBetween(page) {
  for (const group of page.querySelectorAll("g.beam, g.chord")) {
    const inside = [...group.querySelectorAll("[data-note]")].map((element) => notes.melody[element.dataset.note]);
    if (!inside.length) continue;
    const tone = toneOf(inside.reduce((a, b) => a + b) / inside.length);
    for (const part of group.querySelectorAll(":scope > polygon, :scope > .stem, :scope > .dots")) {
      part.classList.add(tone);
    }
  }
}

function noteNear(event) {
  const direct = event.target.closest("[data-note]");
  if (direct) return Number(direct.dataset.note);
  let nearest = null;
  let least = REACH;
  for (const element of event.target.closest(".sheet")?.querySelectorAll("[data-note]") ?? []) {
    const box = (element.querySelector(".notehead") ?? element).getBoundingClientRect();
    const distance = Math.hypot((box.left + box.right) / 2 - event.clientX, (box.top + box.bottom) / 2 - event.clientY);
    if (distance < least) [nearest, least] = [Number(element.dataset.note), distance];
  }
  return nearest;
}

function setUpScore(paper) {
  let job = 0;
  let laidOut = 0; // width
  let fresh = true; // nothing of this job is shown yet
  let engraver = null;

  const request = () => {
    const width = inside(paper);
    if (!engraver || width === laidOut || width <= 0) return;
    laidOut = width;
    fresh = true;
    paper.setAttribute("aria-busy", "true");
    const scale = width < NARROW ? 36 : 44;
    engraver.postMessage({ job: ++job, sheets: sheets.map((one) => one.mei), width, scale });
  };
  const refuse = (error) => {
    paper.setAttribute("aria-busy", "false");
    const sorry = document.createElement("p");
    sorry.className = "wait";
    sorry.textContent = `The score could not be engraved here: ${error}.`;
    paper.replaceChildren(sorry);
  };
  const receive = ({ data }) => {
    if (data.job !== job) return;
    if (data.error) return refuse(data.error);
    if (data.done) return paper.setAttribute("aria-busy", "false");
    if (fresh) {
      paper.replaceChildren();
      heads.clear();
      fresh = false;
    }
    showPage(paper, data);
  };

  paper.addEventListener("click", (event) => {
    const i = noteNear(event);
    if (i !== null) goTo(i);
  });
  startEngraver().then(
    (worker) => {
      engraver = worker;
      engraver.onmessage = receive;
      engraver.onerror = (event) => refuse(event.message || "the engraver did not start");
      request();
    },
    (error) => refuse(error.message),
  );
  return request;
}

// ---- plots, and the width of the window

function drawPlots() {
  for (const [id, draw] of [["roll", drawRoll], ["loudness", drawLoudness]]) {
    const host = $(id);
    if (!host) continue;
    const plot = draw(host, notes, player.end);
    plot.svg.addEventListener("click", ({ clientX }) => {
      started = true;
      player.seek(plot.timeAt(clientX));
      say(`Bar ${barAt(player.position)}.`);
    });
    if (id === "roll") roll = plot;
    else loudness = plot;
  }
  shown = new Set();
  player.move();
}

$("paper")?.classList.toggle("long", notes.pitch.length > MANY);
const layOut = $("paper") ? setUpScore($("paper")) : () => {};
let drawnAt = 0;
let waiting = 0;
function refresh() {
  layOut();
  if ($("roll").clientWidth === drawnAt) return;
  drawnAt = $("roll").clientWidth;
  drawPlots();
}
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, SETTLED);
});
refresh();
