// The drawing, or a photo, goes to the server as a picture file; its answers come back as bars.

const PEN = 28;    // width of a stroke, on a paper of 400: a digit of 280 has MNIST's strokes of two pixels in twenty
const PAUSE = 60;  // ms between an answer and the next question

const element = (id) => document.getElementById(id);
const paper = element("paper"), board = element("board"), verdict = element("verdict");
const pen = board.getContext("2d"), seen = element("seen").getContext("2d");
let maxBytes = Infinity;
let cards = new Map();   // by the model's name
let pointer = null;      // the one that draws, while it is down
let waiting = null;      // what to ask next; what was waiting before is out of date
let asking = false;
let current = {};        // what is on the paper: answers to anything else come too late

// --- the paper ---

function clear(message = "Nothing to see yet.") {
  current = {};
  waiting = pointer = null;
  verdict.ariaBusy = "false";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, board.width, board.height);
  paper.classList.add("empty");
  showNoAnswer(message);
}

function stroke(event) {
  const box = board.getBoundingClientRect(), scale = board.width / box.width;
  for (const { clientX, clientY } of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
    pen.lineTo((clientX - box.left) * scale, (clientY - box.top) * scale);
  }
  pen.stroke();
  ask(current);
}

board.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  if (!current.picture || current.photo) {
    clear();
    current = { picture: () => new Promise((done) => board.toBlob(done)) };
    paper.classList.remove("empty");
  }
  pointer = event.pointerId;
  board.setPointerCapture(pointer);
  Object.assign(pen, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
  pen.beginPath();
  stroke(event);
});

board.addEventListener("pointermove", (event) => {
  if (event.pointerId === pointer) stroke(event);
});

for (const end of ["pointerup", "pointercancel"]) {
  board.addEventListener(end, (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    ask(current);
  });
}

// --- a photo: chosen, dropped or pasted ---

function take(file) {
  if (!file) return;
  clear("Looking at the photo…");
  if (file.size > maxBytes) {
    showNoAnswer(`The file is above ${maxBytes / 1e6} MB; reduce the picture first`, true);
    return;
  }
  current = { photo: file, picture: async () => file };
  ask(current);
}

async function preview(photo) {
  const image = await createImageBitmap(photo).catch(() => null);  // a kind that the server reads and the browser not
  if (!image || current.photo !== photo) return;
  const scale = Math.min(board.width / image.width, board.height / image.height);
  const width = image.width * scale, height = image.height * scale;
  pen.drawImage(image, (board.width - width) / 2, (board.height - height) / 2, width, height);
  paper.classList.remove("empty");
}

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

element("clear").addEventListener("click", () => clear());
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" || key === "Backspace") clear();
});

// --- questions and answers ---

async function ask(question) {
  waiting = question;
  if (asking) return;
  asking = true;  // one question at a time, always about the latest
  verdict.ariaBusy = "true";  // read aloud only once all is answered
  while (waiting) {
    const asked = waiting;
    waiting = null;
    const { problem, ...reply } = await answersTo(await asked.picture());
    if (asked !== current) continue;
    if (!problem) {
      showAnswers(reply);
      if (asked.photo) preview(asked.photo);
    } else if (!waiting && pointer === null) {  // a stroke that has just begun is no digit yet
      showNoAnswer(asked.photo ? problem : problem.split(";")[0], true);
    }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
  asking = false;
  verdict.ariaBusy = String(pointer !== null);
}

async function answersTo(picture) {
  try {
    const headers = { "Content-Type": picture.type || "image/unknown" };
    const response = await fetch("answers", { method: "POST", headers, body: picture });
    const reply = await response.json();
    return response.ok ? reply : { problem: reply.detail };
  } catch {
    return { problem: "The server failed or is gone: see its terminal" };
  }
}

const percent = (share) => `${Math.round(100 * share)}%`;
const likeliest = (shares) => shares.indexOf(Math.max(...shares));

function showAnswers({ image, answers }) {
  const pixels = new ImageData(28, 28);
  image.forEach((grey, index) => pixels.data.set([grey, grey, grey, 255], 4 * index));
  seen.putImageData(pixels, 0, 0);
  const digits = Object.entries(answers).map(([name, shares]) => showAnswer(cards.get(name), shares));
  const different = [...new Set(digits)];
  const all = digits.length === 2 ? "Both say" : digits.length > 2 ? "All say" : "It is a";
  say(different.length > 1 ? `They disagree: ${different.join(" or ")}` : `${all} ${digits[0]}`);
}

function showAnswer(card, shares) {
  const best = likeliest(shares);
  card.querySelector("b").textContent = best;
  card.querySelector(".answer span").textContent = percent(shares[best]);
  card.querySelectorAll("tr").forEach((row, digit) => {
    row.classList.toggle("best", digit === best);
    row.querySelector(".bar").style.setProperty("--share", shares[digit]);
    row.querySelector(".percent").textContent = percent(shares[digit]);
  });
  return best;
}

function showNoAnswer(message, isProblem = false) {
  seen.clearRect(0, 0, 28, 28);
  for (const card of cards.values()) {
    for (const part of card.querySelectorAll("b, .answer span, .percent")) part.textContent = "";
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

function makeCard(name) {
  const card = element("model").content.cloneNode(true).querySelector("article");
  card.querySelector("h2").textContent = name;
  for (let digit = 0; digit < 10; digit++) {
    const row = element("row").content.cloneNode(true);
    row.querySelector("th").textContent = digit;
    card.querySelector("tbody").append(row);
  }
  return card;
}

clear();
const { names, max_bytes } = await (await fetch("models")).json();
maxBytes = max_bytes;
cards = new Map(names.map((name) => [name, makeCard(name)]));
element("models").append(...cards.values());
