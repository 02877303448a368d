// From a drawing to MNIST's form. A port of mnist_exp/imaging/photo.py, shadows.py and pieces.py for what the paper of
// the page gives: a grey picture of 160x160, dark ink on white paper, with a white margin. What only photos need is left
// out: light ink on dark paper, shadows, printed lines, crops without a margin, and pictures of another size.
//
// The names are those of the Python files, which explain them. A picture is {width, height, data}, row by row. Where
// Python calculates in float32, `data` is a Float32Array: the same numbers come out.

class DrawingError extends Error {}

const NOISE_BLUR = 1 / 180, PAPER_WINDOW = 0.4, STRIP = 0.08, NOISE_PERCENTILE = 16, NOISE_SIGMAS = 3, FAINTEST = 0.03;
const TYPICAL_PERCENTILE = 80, MARK_DARKNESS = 0.2, STROKE_EDGE = 0.3, STROKE_WINDOW = 0.08;
const STROKE_WIDTH = 2, BOX = 20, OVERSAMPLING = 8, MARGIN = 4, OUTLINE = 0.5, OUTLINE_WINDOW = 4;
const SMALLEST_DIGIT = 0.05, LEAST_CENTRAL = 0.05, FLAT = 4, UNLIKELY_START = 0.01;
const JOIN_ROUNDS = 4, JOIN_GAP = 0.25, JOIN_SIZE = 0.25, JOIN_LARGEST = 1.5, JOIN_LARGEST_FLAT = 1, JOIN_AREA = 0.03;
const SAME_PEN = 0.5, FRAMED_HEIGHT = 0.2, SECOND_HEIGHT = [0.6, 1.6], SECOND_CENTRAL = 0.3, SECOND_GAP = 0.2;

// The 784 pixels that a network sees, 0 to 255. Throws DrawingError for what does not show exactly one digit.
function toMnistForm({ width, height, data }) {
  const ink = findInk({ width, height, data: new Float32Array(data) });
  return centreByMass(redraw(ink, findDigit(ink)));
}

const picture = (width, height, data) => ({ width, height, data });
const mapped = ({ width, height, data }, change) => picture(width, height, data.map(change));
const side = ({ width, height }) => Math.max(width, height);
const odd = (length) => Math.floor(length) | 1;
const sum = (values) => values.reduce((a, b) => a + b, 0);

function roundHalfToEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

// --- from grey values to ink ---

function findInk(grey) {
  grey = blurred(grey, NOISE_BLUR * side(grey));
  const paper = closing(grey, odd(PAPER_WINDOW * side(grey)), odd(STRIP * side(grey)));
  const ink = mapped(grey, (value, i) => 1 - Math.fround(Math.fround(value + 1) / Math.fround(paper.data[i] + 1)));
  const half = ink.data.reduce((a, b) => Math.max(a, b)) / 2, middle = percentile(ink.data, 50);
  const level = Math.fround(middle <= half ? middle : percentile(ink.data.filter((value) => value < half), 50));
  return mapped(ink, (value) => value - level);
}

// As scipy.ndimage.gaussian_filter: 4 sigmas wide, mirrored at the border.
function blurred(image, sigma) {
  const radius = Math.floor(4 * sigma + 0.5);
  const weights = Array.from({ length: radius + 1 }, (_, i) => Math.exp((-0.5 * i * i) / (sigma * sigma)));
  const total = weights[0] + 2 * sum(weights.slice(1));
  const mirror = (i, length) => (i < 0 ? -1 - i : i >= length ? 2 * length - 1 - i : i);
  const along = (data, count, length, step, next) => {
    const result = new Float32Array(data.length);
    for (let line = 0; line < count; line++) {
      for (let i = 0; i < length; i++) {
        let value = data[line * next + i * step] * (weights[0] / total);
        for (let j = radius; j > 0; j--) {
          const pair = data[line * next + mirror(i - j, length) * step] + data[line * next + mirror(i + j, length) * step];
          value += pair * (weights[j] / total);
        }
        result[line * next + i * step] = value;
      }
    }
    return result;
  };
  const { width, height } = image;
  return picture(width, height, along(along(image.data, width, height, width, 1), height, width, 1, width));
}

function percentile(values, percent) {
  const sorted = values.slice().sort(), at = (percent / 100) * (sorted.length - 1), below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

// The largest (or smallest) of every `size` neighbours, one below the other or side by side. The picture gets smaller by
// `size` - 1.
function slide(largest, image, size, down) {
  for (let joined = 1; joined < size; ) {
    const step = Math.min(joined, size - joined), { width, height, data } = image;
    const columns = width - (down ? 0 : step), rows = height - (down ? step : 0), offset = down ? step * width : step;
    const result = new Float32Array(columns * rows);
    for (let y = 0, to = 0; y < rows; y++) {
      for (let from = y * width; from < y * width + columns; from++, to++) {
        const a = data[from], b = data[from + offset];
        result[to] = a > b === largest ? a : b;
      }
    }
    image = picture(columns, rows, result);
    joined += step;
  }
  return image;
}

function withMargin({ width, height, data }, rows, columns, value) {
  const framed = picture(width + 2 * columns, height + 2 * rows);
  framed.data = new data.constructor(framed.width * framed.height).fill(value);
  for (let y = 0; y < height; y++) {
    framed.data.set(data.subarray(y * width, (y + 1) * width), (y + rows) * framed.width + columns);
  }
  return framed;
}

function closing(image, size, inside) {
  const out = size - inside, rest = inside - 1;
  const largest = slide(true, withMargin(image, out, 0, -Infinity), size, true);
  const both = slide(true, withMargin(largest, 0, out, -Infinity), size, false);
  if (both.data.every((value) => value === both.data[0])) return mapped(image, () => both.data[0]);  // as nearly always
  return slide(false, slide(false, withMargin(both, rest, rest, Infinity), size, false), size, true);
}

function largestNear(image, size) {
  const framed = withMargin(image, size >> 1, size >> 1, -Infinity);
  return slide(true, slide(true, framed, size, true), size, false);
}

// --- from ink to the digit's strokes: masks are Uint8Array of 0 and 1 ---

function findDigit(ink) {
  const pieces = findPieces(sharpen(findMarks(ink), ink), ink);
  if (!pieces.some((piece) => piece.large)) throw new DrawingError("blank: specks, but no digit; draw a larger digit");
  const members = joinDigit(pieces, ink);
  if (hasSecondDigit(pieces, members)) throw new DrawingError("more than one digit; clear the paper and draw one");
  return picture(ink.width, ink.height, pieces.labels.map((label) => (label && members[label - 1] ? 1 : 0)));
}

function findMarks(ink) {
  const noise = -percentile(ink.data, NOISE_PERCENTILE), floor = Math.max(NOISE_SIGMAS * noise, FAINTEST);
  const marks = ink.data.filter((value) => value > floor);
  if (!marks.length) throw new DrawingError("blank: no ink stands out from the paper; draw a digit");
  const limit = Math.fround(Math.max(floor, MARK_DARKNESS * percentile(marks, TYPICAL_PERCENTILE)));
  return picture(ink.width, ink.height, new Uint8Array(ink.data.map((value) => (value > limit ? 1 : 0))));
}

function sharpen(marks, ink) {
  const darkest = largestNear(ink, odd(STROKE_WINDOW * side(ink))).data;
  return mapped(marks, (mark, i) => (mark && ink.data[i] > Math.fround(STROKE_EDGE * darkest[i]) ? 1 : 0));
}

// The connected pieces, each {top, left, bottom, right, area, darkness, central, cut, ...}; also `labels`, and `width`
// and `height` of the picture.
function findPieces({ width, height, data }, ink) {
  const labels = new Int32Array(data.length), pieces = [];
  for (let start = 0; start < data.length; start++) {
    if (!data[start] || labels[start]) continue;
    const piece = { top: height, left: width, bottom: 0, right: 0, area: 0, darkness: 0, central: 0 };
    const label = pieces.push(piece), open = [start];
    labels[start] = label;
    while (open.length) {
      const at = open.pop(), x = at % width, y = (at - x) / width;
      piece.top = Math.min(piece.top, y);
      piece.left = Math.min(piece.left, x);
      piece.bottom = Math.max(piece.bottom, y + 1);
      piece.right = Math.max(piece.right, x + 1);
      piece.area++;
      piece.darkness += ink.data[at];
      const offCentre = Math.max(Math.abs((2 * x) / (width - 1) - 1), Math.abs((2 * y) / (height - 1) - 1));
      piece.central += Math.max(LEAST_CENTRAL, 1 - offCentre);
      for (let ny = Math.max(y - 1, 0); ny <= Math.min(y + 1, height - 1); ny++) {
        for (let nx = Math.max(x - 1, 0); nx <= Math.min(x + 1, width - 1); nx++) {
          const near = ny * width + nx;
          if (data[near] && !labels[near]) {
            labels[near] = label;
            open.push(near);
          }
        }
      }
    }
  }
  for (const piece of pieces) {
    piece.darkness /= piece.area;
    piece.central /= piece.area;
    piece.height = piece.bottom - piece.top;
    piece.width = piece.right - piece.left;
    piece.longer = Math.max(piece.width, piece.height);
    const strip = STRIP * Math.max(width, height) + 2;  // along the border, where no digit is
    const inside = piece.bottom > strip && piece.right > strip && piece.top < height - strip && piece.left < width - strip;
    piece.large = inside && piece.longer >= SMALLEST_DIGIT * Math.max(width, height);
    piece.flat = piece.width > FLAT * piece.height;
    piece.cut = !piece.top || !piece.left || piece.bottom === height || piece.right === width;
  }
  Object.assign(pieces, { labels, width, height });
  pieces.forEach((piece, i) => (piece.frame = isFrame(pieces, piece, i + 1)));
  return pieces;
}

function isFrame(pieces, piece, label) {
  const holds = ({ large, top, left, bottom, right, height }) =>
    large && piece.top < top && piece.left < left && piece.bottom > bottom && piece.right > right &&
    height > FRAMED_HEIGHT * piece.height;
  if (!piece.large || !pieces.some(holds)) return false;
  const rows = piece.height >> 2, columns = piece.width >> 2;
  for (let y = piece.top + rows; y < piece.bottom - rows; y++) {
    for (let x = piece.left + columns; x < piece.right - columns; x++) {
      if (pieces.labels[y * pieces.width + x] === label) return false;
    }
  }
  return true;
}

function joinDigit(pieces, ink) {
  const weights = pieces.map((piece) => piece.area * piece.central * (piece.frame || piece.flat ? UNLIKELY_START : 1));
  const first = weights.indexOf(Math.max(...weights));
  const members = pieces.map((_, i) => i === first);
  for (let round = 0; round < JOIN_ROUNDS; round++) {
    const digit = pieces.filter((_, i) => members[i]), area = sum(digit.map((piece) => piece.area));
    const size = Math.max(...extent(digit), JOIN_SIZE * side(ink));
    const near = pieces.map((piece, i) =>
      !piece.cut && !piece.frame && !members[i] &&
      piece.longer <= (piece.flat ? JOIN_LARGEST_FLAT : JOIN_LARGEST) * size &&
      piece.area > JOIN_AREA * area && piece.darkness > SAME_PEN * pieces[first].darkness);
    if (near.includes(true)) {
      const gaps = gapsTo(pieces, members);
      gaps.forEach((gap, i) => (near[i] &&= gap < JOIN_GAP * size));
    }
    if (!near.includes(true)) break;
    near.forEach((joins, i) => (members[i] ||= joins));
  }
  return members;
}

function extent(pieces) {
  const of = (key) => pieces.map((piece) => piece[key]);
  return [Math.max(...of("bottom")) - Math.min(...of("top")), Math.max(...of("right")) - Math.min(...of("left"))];
}

function gapsTo(pieces, members) {
  const outside = pieces.labels.map((label) => (label && members[label - 1] ? 0 : 1));
  const squares = squaredDepth(picture(pieces.width, pieces.height, outside));
  const gaps = pieces.map(() => Infinity);
  pieces.labels.forEach((label, i) => label && (gaps[label - 1] = Math.min(gaps[label - 1], Math.sqrt(squares[i]))));
  return gaps;
}

function hasSecondDigit(pieces, members) {
  const digit = pieces.filter((_, i) => members[i]), [height] = extent(digit);
  const darkness = sum(digit.map((piece) => piece.darkness)) / digit.length;
  const isTall = (piece) => piece.height > SECOND_HEIGHT[0] * height && piece.height < SECOND_HEIGHT[1] * height;
  const isOther = (piece, i) =>
    isTall(piece) && !members[i] && !piece.cut && !piece.frame && piece.central > SECOND_CENTRAL &&
    piece.darkness > SAME_PEN * darkness;
  const parts = digit.filter(isTall).sort((a, b) => a.left - b.left);
  const isApart = (part, i) => i > 0 && part.left - parts[i - 1].right > SECOND_GAP * height;
  return pieces.some(isOther) || parts.some(isApart);
}

// For each pixel of the mask, the square of its distance from the nearest pixel outside of it; 0 for the others. From
// the distances within each column, each row takes the lower envelope of parabolas (Felzenszwalb and Huttenlocher 2012,
// Distance transforms of sampled functions).
function squaredDepth({ width, height, data }) {
  const squares = new Float64Array(data.length), far = 4 * (width + height) ** 2;
  for (let x = 0; x < width; x++) {
    for (const [start, end, step] of [[0, height, 1], [height - 1, -1, -1]]) {
      for (let y = start, depth = Infinity; y !== end; y += step) {
        const at = y * width + x;
        depth = data[at] ? depth + 1 : 0;
        squares[at] = Math.min(depth * depth, step > 0 ? far : squares[at]);
      }
    }
  }
  const columns = new Int32Array(width), starts = new Float64Array(width + 1);
  for (let y = 0; y < height; y++) {
    const row = squares.slice(y * width, (y + 1) * width);
    let last = 0;
    columns[0] = 0;
    starts[0] = -Infinity;
    for (let x = 1; x < width; x++) {
      const meet = (column) => (row[x] + x * x - row[column] - column * column) / (2 * (x - column));
      while (last >= 0 && meet(columns[last]) <= starts[last]) last--;
      starts[last + 1] = last < 0 ? -Infinity : meet(columns[last]);
      columns[++last] = x;
    }
    starts[last + 1] = Infinity;
    for (let x = 0, at = 0; x < width; x++) {
      while (starts[at + 1] < x) at++;
      squares[y * width + x] = (x - columns[at]) ** 2 + row[columns[at]];
    }
  }
  return squares;
}

// --- from strokes to MNIST's form ---

function redraw(ink, digit) {
  const strokes = cropped(widen(trace(ink, digit), STROKE_WIDTH * OVERSAMPLING), 0);
  const small = resized(strokes, BOX / side(strokes), BOX_FILTER);
  const largest = Math.max(...small.data);
  return mapped(small, (value) => value / largest);
}

// The part of a picture around the pixels of a mask, and `margin` more on each side where there is room.
function cropped(mask, margin, image = mask) {
  const box = { top: mask.height, left: mask.width, bottom: 0, right: 0 };
  mask.data.forEach((inside, at) => {
    if (!inside) return;
    const x = at % mask.width, y = (at - x) / mask.width;
    box.top = Math.min(box.top, y);
    box.left = Math.min(box.left, x);
    box.bottom = Math.max(box.bottom, y + 1);
    box.right = Math.max(box.right, x + 1);
  });
  const top = Math.max(box.top - margin, 0), left = Math.max(box.left - margin, 0);
  const part = picture(Math.min(box.right + margin, image.width) - left, Math.min(box.bottom + margin, image.height) - top);
  part.data = new image.data.constructor(part.width * part.height);
  for (let y = 0; y < part.height; y++) {
    const from = (top + y) * image.width + left;
    part.data.set(image.data.subarray(from, from + part.width), y * part.width);
  }
  return Object.assign(part, { size: Math.max(box.bottom - box.top, box.right - box.left) });
}

function trace(ink, digit) {
  const mask = cropped(digit, MARGIN), scale = (BOX * OVERSAMPLING) / mask.size;
  const padded = withMargin(picture(mask.width, mask.height, new Float32Array(mask.data)), 1, 1, 0);
  const withEdges = slide(true, slide(true, padded, 3, true), 3, false);  // one pixel more on each side
  const inked = mapped(cropped(digit, MARGIN, ink), (value, i) => (withEdges.data[i] ? value : 0));
  const large = resized(inked, scale, BICUBIC_FILTER), inside = nearest(withEdges, scale);
  const darkest = largestNear(large, OUTLINE_WINDOW * OVERSAMPLING + 1).data;
  const strokes = large.data.map((value, i) => (inside[i] && value > OUTLINE * darkest[i] ? 1 : 0));
  return picture(large.width, large.height, new Uint8Array(strokes));
}

function widen(strokes, width) {
  strokes = cropped(strokes, 1);
  const depths = squaredDepth(strokes).filter((square) => square > 0).map(Math.sqrt);
  const added = (width - (4 * (sum(depths) / depths.length) - 1)) / 2;
  if (added <= 0) return strokes;
  const room = withMargin(strokes, Math.floor(added) + 2, Math.floor(added) + 2, 0);
  const gaps = squaredDepth(mapped(room, (stroke) => 1 - stroke));
  return mapped(room, (_, i) => (Math.sqrt(gaps[i]) <= added ? 1 : 0));
}

const BOX_FILTER = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
const BICUBIC_FILTER = {
  support: 2,
  weight: (x) => {
    x = Math.abs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  },
};

// As Pillow resizes: first the rows, then the columns, with a filter that is as wide as a pixel of the smaller picture.
function resized(image, scale, filter) {
  const [width, height] = [image.width, image.height].map((length) => Math.max(1, roundHalfToEven(length * scale)));
  const wide = picture(width, image.height, new Float32Array(width * image.height));
  resample(image.data, wide.data, image.height, [image.width, 1, image.width], [width, 1, width], filter);
  const result = picture(width, height, new Float32Array(width * height));
  resample(wide.data, result.data, width, [image.height, width, 1], [height, width, 1], filter);
  return result;
}

// One direction, for `count` lines. in and out: the pixels of a line, the step between two, and that between lines.
function resample(from, to, count, [length, step, next], [outLength, outStep, outNext], { support, weight }) {
  const scale = length / outLength, filterScale = Math.max(scale, 1);
  for (let i = 0; i < outLength; i++) {
    const centre = (i + 0.5) * scale, reach = support * filterScale;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0), end = Math.min(Math.trunc(centre + reach + 0.5), length);
    let weights = Array.from({ length: end - start }, (_, j) => weight((j + start - centre + 0.5) / filterScale));
    const total = sum(weights);
    weights = weights.map((one) => one / total);
    for (let line = 0; line < count; line++) {
      let value = 0;
      for (let j = 0; j < weights.length; j++) value += from[line * next + (start + j) * step] * weights[j];
      to[line * outNext + i * outStep] = value;
    }
  }
}

function nearest(image, scale) {
  const [width, height] = [image.width, image.height].map((length) => Math.max(1, roundHalfToEven(length * scale)));
  const sources = (length, outLength) => {
    const list = [];
    for (let i = 0, at = 0.5 * (length / outLength); i < outLength; i++, at += length / outLength) list.push(Math.trunc(at));
    return list;
  };
  const columns = sources(image.width, width), result = new Uint8Array(width * height);
  sources(image.height, height).forEach((row, y) => {
    columns.forEach((column, x) => (result[y * width + x] = image.data[row * image.width + column]));
  });
  return result;
}

function centreByMass({ width, height, data }) {
  let mass = 0, down = 0, across = 0;
  data.forEach((value, at) => {
    const x = at % width;
    mass += value;
    across += value * x;
    down += value * ((at - x) / width);
  });
  const place = (sums, length) => roundHalfToEven(Math.min(Math.max(14 - sums / mass, 0), 28 - length));
  const top = place(down, height), left = place(across, width), image = new Uint8Array(28 * 28);
  data.forEach((value, at) => {
    const x = at % width, y = (at - x) / width;
    image[(top + y) * 28 + left + x] = roundHalfToEven(Math.fround(255 * value));
  });
  return image;
}
