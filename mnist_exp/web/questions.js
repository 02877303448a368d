// What the page asks its server (server.py). In a page without a server, answers.js stands in place of this file.

// {models: [{label, name, kind, test_accuracy}], max_bytes, max_pixels, max_decoded_pixels}
export async function listModels() {
  return (await fetch("models")).json();
}

// body: a picture file. {image, answers}, or {detail: why} where it does not show one digit, or {problem: what failed}
export async function answersTo(body) {
  try {
    const headers = { "Content-Type": body.type || "image/unknown" };
    const response = await fetch("answers", { method: "POST", headers, body });
    const reply = await response.json();
    return response.ok ? reply : { problem: reply.detail };
  } catch {
    return { problem: "The server failed or has stopped; see its terminal" };
  }
}
