// Asks the models about the drawing or a photo, as a picture file, and shows their answers as bars.

import { answersTo, listModels } from "./questions.js";

const PEN = 45;         // width of a stroke on a paper of 640: a digit of 450 then has MNIST's two pixels in twenty
const SENT = 160;       // pixels a side of the picture that is sent; the models see 28
const SENT_MARGIN = 10;  // of these, white on every side
const STEP = 24;        // of the keyboard's pen at each key press; SMALL_STEP with Shift
const SMALL_STEP = 6;
const PAUSE = 60;       // ms between an answer and the next question
const PHOTO_SIDE = 2000;  // pixels to which a photo above the server's limits is reduced

const element = (id) => document.getElementById(id);
const paper = element("paper"), board = element("board"), verdict = element("verdict"), cursor = element("pen");
const ink = board.getContext("2d"), seen = element("seen").getContext("2d");
const small = Object.assign(document.createElement("canvas"), { width: SENT, height: SENT });
const smallInk = small.getContext("2d", { willReadFrequently: true });

// --- the paper: strokes or a photo. Each change makes a new paper, and undo goes back to the one before. ---

const BLANK = { strokes: [] };
let current = BLANK;  // an answer to any other paper comes too late
let earlier = [];

function change(next) {
  earlier.push(current);
  show(next);
}

function undo() {
  if (pointer === null && earlier.length) show(earlier.pop());
}

function clear() {
  if (pointer === null && current !== BLANK) change(BLANK);
}

function show(next) {
  current = next;
  keyStroke = null;
  redraw();
  showPen();
  if (current === BLANK) {
    waiting = null;
    verdict.ariaBusy = "false";
    showNoAnswer("Nothing to see yet.");
  } else {
    if (current.photo) showNoAnswer("Looking at the photo…");
    ask();
  }
}

function redraw() {
  Object.assign(ink, { fillStyle: "#fff", strokeStyle: "#000", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
  ink.fillRect(0, 0, board.width, board.height);
  if (current.photo) drawPhoto(current);
  for (const [start, ...points] of current.strokes ?? []) {
    ink.beginPath();
    ink.moveTo(...start);
    for (const point of [start, ...points]) ink.lineTo(...point);  // a single point makes a dot
    ink.stroke();
  }
  paper.classList.toggle("empty", current === BLANK);
  element("undo").disabled = !earlier.length;
  element("clear").disabled = current === BLANK;
}

function beginStroke(point) {
  const stroke = [point];
  change({ strokes: [...(current.strokes ?? []), stroke] });
  return stroke;
}

function extendStroke(stroke, points) {
  stroke.push(...points);
  redraw();
  ask();
}

// --- drawing by mouse, finger or pen ---

let pointer = null;  // the id of the one that draws, while it is down
let pointerStroke = null;

function place({ clientX, clientY }) {
  const box = board.getBoundingClientRect(), scale = board.width / box.width;
  return [(clientX - box.left) * scale, (clientY - box.top) * scale];
}

board.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  board.setPointerCapture(event.pointerId);
  penShown = false;
  pointerStroke = beginStroke(place(event));
  pointer = event.pointerId;
});

board.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  extendStroke(pointerStroke, (moves.length ? moves : [event]).map(place));
});

for (const end of ["pointerup", "pointercancel"]) {
  board.addEventListener(end, (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    ask();
  });
}

// --- drawing by keyboard ---

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const held = new Set();  // arrow keys that are down
let pen = [board.width / 2, board.height / 4];
let keyStroke = null;    // what the pen draws, while it is down
let penShown = false;

board.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in ARROWS) {
    held.add(event.key);
    movePen(event.shiftKey ? SMALL_STEP : STEP);
  } else if (event.key === " ") {
    if (!event.repeat) keyStroke ? liftPen() : putPenDown();
  } else {
    return;
  }
  penShown = true;
  showPen();
  event.preventDefault();
});
board.addEventListener("keyup", ({ key }) => held.delete(key));
board.addEventListener("focus", () => {
  penShown = board.matches(":focus-visible");  // not after a click
  showPen();
});
board.addEventListener("blur", () => {
  held.clear();
  if (keyStroke) liftPen();
  penShown = false;
  showPen();
});

function movePen(step) {
  for (const key of held) {
    pen = pen.map((value, axis) => Math.min(Math.max(value + step * ARROWS[key][axis], PEN / 2), board.width - PEN / 2));
  }
  if (keyStroke) extendStroke(keyStroke, [pen]);
}

function putPenDown() {
  keyStroke = beginStroke(pen);
  element("pen-state").textContent = "Pen down";
}

function liftPen() {
  keyStroke = null;
  element("pen-state").textContent = "Pen up";
  ask();
}

function showPen() {
  cursor.hidden = !penShown;
  cursor.classList.toggle("down", keyStroke !== null);
  cursor.style.left = `${(100 * pen[0]) / board.width}%`;
  cursor.style.top = `${(100 * pen[1]) / board.height}%`;
}

// --- a photo: chosen, dropped or pasted ---

async function take(file) {
  if (file) change({ photo: file, bitmap: createImageBitmap(file).catch(() => null) });  // null: only the server may know it
}

async function drawPhoto(drawn) {
  const image = await drawn.bitmap;
  if (!image || drawn !== current) return;
  const scale = Math.min(board.width / image.width, board.height / image.height);
  const width = image.width * scale, height = image.height * scale;
  ink.drawImage(image, (board.width - width) / 2, (board.height - height) / 2, width, height);
}

function acceptPhotos() {
  element("choose").addEventListener("click", () => element("file").click());
  element("file").addEventListener("change", ({ target }) => {
    take(target.files[0]);
    target.value = "";  // the same file can be chosen again
  });
  document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files[0]));
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      paper.classList.toggle("dropping", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files[0]);
    });
  }
}

if (element("choose")) acceptPhotos();  // a page without a server (single_page.py) reads drawings only

element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    clear();
  } else if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    undo();
    event.preventDefault();
  }
});

// --- the picture that is sent ---

async function picture({ photo, bitmap }) {
  if (!photo) return drawing();
  const image = await bitmap;
  if (!image) return photo;
  const pixels = image.width * image.height;
  const limit = photo.type === "image/jpeg" ? limits.max_pixels : limits.max_decoded_pixels;
  return photo.size > limits.max_bytes || pixels > limit ? reduced(image) : photo;
}

function reduced(image) {
  const scale = Math.min(1, PHOTO_SIDE / Math.max(image.width, image.height));
  const copy = document.createElement("canvas");
  copy.width = Math.round(image.width * scale);
  copy.height = Math.round(image.height * scale);
  const page = copy.getContext("2d");
  page.fillStyle = "#fff";  // below what is transparent
  page.fillRect(0, 0, copy.width, copy.height);
  page.drawImage(image, 0, 0, copy.width, copy.height);
  return new Promise((done) => copy.toBlob(done, "image/jpeg", 0.95));
}

// A portable grey map: a line of header and a byte a pixel. The server reads it sooner than the PNG of a canvas.
// The margin keeps a stroke at the edge of the paper from being taken for the frame of a printed box.
function drawing() {
  smallInk.fillStyle = "#fff";
  smallInk.fillRect(0, 0, SENT, SENT);
  smallInk.drawImage(board, SENT_MARGIN, SENT_MARGIN, SENT - 2 * SENT_MARGIN, SENT - 2 * SENT_MARGIN);
  const grey = smallInk.getImageData(0, 0, SENT, SENT).data.filter((_, index) => index % 4 === 0);
  return new Blob([`P5 ${SENT} ${SENT} 255\n`, grey], { type: "image/x-portable-graymap" });
}

// --- questions and answers: one question at a time, always about the latest paper ---

let waiting = null;  // the paper to ask about next
let asking = false;
let limits = {};
let cards = new Map();  // by the model's label

async function ask() {
  waiting = current;
  if (asking) return;
  asking = true;
  verdict.ariaBusy = "true";  // a screen reader waits until the last answer is there
  while (waiting) {
    const asked = waiting;
    waiting = null;
    const { problem, detail, ...reply } = await answersTo(await picture(asked));
    if (asked === current) {
      if (problem) showNoAnswer(problem, true);
      else if (!detail) showAnswers(reply);
      else if (asked.photo) showNoAnswer(detail, true);
      else if (pointer === null && !keyStroke && !waiting) showNoAnswer(detail.split(";")[0]);  // a finished stroke
    }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
  asking = false;
  verdict.ariaBusy = String(pointer !== null || keyStroke !== null);
}

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;

function showAnswers({ image, answers }) {
  const pixels = new ImageData(28, 28);
  image.forEach((grey, index) => pixels.data.set([grey, grey, grey, 255], 4 * index));
  seen.putImageData(pixels, 0, 0);
  const choices = Object.entries(answers).map(([label, shares]) => showAnswer(cards.get(label), shares));
  const different = [...new Set(choices.flat().map(({ name }) => name))].sort();
  const all = choices.length === 2 ? "Both say" : choices.length > 2 ? "All say" : "It is a";
  const doubt = choices.every((names) => names.length === 1) ? "They disagree" : "Not sure";
  const named = choices.length > 1 ? different : choices[0].map(({ name, share }) => `${name} (${percent(share)})`);
  say(different.length > 1 ? `${doubt}: ${named.join(" or ")}` : `${all} ${different[0]}`);
}

// Returns what the model sees, or the two between which it is not sure.
function showAnswer(card, shares) {
  const names = [...card.querySelectorAll("th")].map((each) => each.textContent);
  const [best, second] = shares.map((share, label) => ({ name: names[label], share, label })).sort((a, b) => b.share - a.share);
  const sure = best.share >= limits.min_confidence;
  card.querySelector("b").textContent = sure ? best.name : `${best.name}?`;
  card.querySelector("b").classList.toggle("long", best.name.length > 2);
  card.querySelector(".answer span").textContent =
    percent(best.share) + (sure ? "" : `, or ${second.name}: ${percent(second.share)}`);
  card.querySelectorAll("tr").forEach((row, label) => {
    row.classList.toggle("best", label === best.label);
    row.querySelector(".bar").style.setProperty("--share", shares[label]);
    row.querySelector(".percent").textContent = percent(shares[label]);
  });
  return sure ? [best] : [best, second];
}

function showNoAnswer(message, isProblem = false) {
  seen.clearRect(0, 0, 28, 28);
  for (const card of cards.values()) {
    for (const part of card.querySelectorAll(".answer span, .percent")) part.textContent = "";
    card.querySelector("b").textContent = "–";
    for (const row of card.querySelectorAll("tr")) {
      row.classList.remove("best");
      row.querySelector(".bar").style.setProperty("--share", 0);
    }
  }
  say(message[0].toUpperCase() + message.slice(1), isProblem);
}

function say(message, isProblem = false) {
  verdict.classList.toggle("problem", isProblem);
  if (verdict.textContent !== message) verdict.textContent = message;
}

// A long name may go on in the next line after a separator (behind it: a space of no width).
const breakable = (name) => name.replace(/[-_/=,.]/g, "$&\u200b");

function makeCard({ name, kind, test_accuracy, classes }) {
  const card = element("model").content.cloneNode(true).querySelector("article");
  card.querySelector("h2").textContent = breakable(name);
  card.querySelector(".about").textContent =
    test_accuracy === null ? kind : `${kind}\nTest accuracy ${percent(test_accuracy, 2)}`;
  card.querySelector("caption").textContent = `Probability of each answer, according to ${name} (${kind})`;
  for (const each of classes) {
    const row = element("row").content.cloneNode(true);
    row.querySelector("th").textContent = each;
    card.querySelector("tbody").append(row);
  }
  return card;
}

redraw();
const { models, ...rest } = await listModels();
limits = rest;
cards = new Map(models.map((model) => [model.label, makeCard(model)]));
element("models").append(...cards.values());
