// The answers of a page without a server: the same functions as in questions.js, with the network in the page itself.

const ASKED = JSON.parse(document.getElementById("network").textContent);
const NETWORK = readNetwork(ASKED.network);

async function listModels() {
  return { models: [ASKED.model], min_confidence: ASKED.min_confidence };
}

// body: a portable grey map with one line of header, as `drawing` in demo.js makes it
async function answersTo(body) {
  const bytes = new Uint8Array(await body.arrayBuffer()), start = bytes.indexOf(10) + 1;
  const [, width, height] = String.fromCharCode(...bytes.subarray(0, start)).split(" ").map(Number);
  try {
    const image = toMnistForm({ width, height, data: bytes.subarray(start) });
    return { image, answers: { [ASKED.model.label]: probabilities(NETWORK, image) } };
  } catch (error) {
    if (error instanceof DrawingError) return { detail: error.message };
    throw error;
  }
}
