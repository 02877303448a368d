// What the network of this page says of 28x28 pixels. A port of mnist_exp/models/plain_layers.py.

// network: {scale, shift, layers: [{kind, inputs, outputs, kernel, stride, padding, groups}], weights}, where weights
// are the float32 of all layers in base64: for each convolution or linear layer its weights, then its bias.
function readNetwork({ weights, ...network }) {
  const floats = new Float32Array(Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0)).buffer);
  let at = 0;
  const take = (count) => floats.subarray(at, (at += count));
  for (const layer of network.layers) {
    const [inputs, outputs] = [layer.inputs, layer.outputs];
    if (layer.kind === "conv") layer.weights = take((outputs[0] * inputs[0] * product(layer.kernel)) / layer.groups);
    if (layer.kind === "linear") layer.weights = take(outputs[0] * product(inputs));
    if (layer.weights) layer.bias = take(outputs[0]);
  }
  return network;
}

// The probabilities of the ten digits, for 784 pixels from 0 (background) to 255 (ink).
function probabilities(network, pixels) {
  let x = Float32Array.from(pixels, (pixel) => pixel * network.scale + network.shift);
  let kept = x;
  for (const layer of network.layers) {
    if (layer.kind === "keep") kept = x;
    else x = CALCULATIONS[layer.kind](layer, x, kept);
  }
  const largest = Math.max(...x);
  const powers = Array.from(x, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

const product = (numbers) => numbers.reduce((a, b) => a * b);

const CALCULATIONS = {
  conv: convolve,
  pool: largestOfWindows,
  linear: ({ weights, bias }, x) => bias.map((start, output) => {
    let sum = start;
    for (let i = 0, at = output * x.length; i < x.length; i++) sum += x[i] * weights[at + i];
    return sum;
  }),
  relu: (_, x) => x.map((value) => Math.max(value, 0)),
  gelu: (_, x) => x.map((value) => 0.5 * value * (1 + erf(value / Math.SQRT2))),
  add: (_, x, kept) => x.map((value, i) => value + kept[i]),
};

function convolve({ inputs, outputs, kernel, stride, padding, groups, weights, bias }, x) {
  const [channels, height, width] = inputs, [outChannels, outHeight, outWidth] = outputs;
  const inGroup = channels / groups, outGroup = outChannels / groups;
  const result = new Float32Array(product(outputs));
  let next = 0;  // weight
  for (let output = 0; output < outChannels; output++) {
    const place = output * outHeight * outWidth;
    result.fill(bias[output], place, place + outHeight * outWidth);
    for (let input = 0; input < inGroup; input++) {
      const plane = (Math.floor(output / outGroup) * inGroup + input) * height * width;
      for (let i = 0; i < kernel[0]; i++) {
        for (let j = 0; j < kernel[1]; j++) {
          const weight = weights[next++], left = j - padding[1];
          const first = Math.max(0, Math.ceil(-left / stride[1]));
          const end = Math.min(outWidth, Math.floor((width - 1 - left) / stride[1]) + 1);
          for (let row = 0; row < outHeight; row++) {
            const from = row * stride[0] + i - padding[0];
            if (from < 0 || from >= height) continue;
            const start = plane + from * width + left, to = place + row * outWidth;
            for (let column = first; column < end; column++) result[to + column] += weight * x[start + column * stride[1]];
          }
        }
      }
    }
  }
  return result;
}

function largestOfWindows({ inputs, outputs, kernel, stride, padding }, x) {
  const [channels, height, width] = inputs, [, outHeight, outWidth] = outputs;
  const result = new Float32Array(product(outputs));
  let next = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        const top = row * stride[0] - padding[0], left = column * stride[1] - padding[1];
        let largest = -Infinity;
        for (let i = Math.max(top, 0); i < Math.min(top + kernel[0], height); i++) {
          for (let j = Math.max(left, 0); j < Math.min(left + kernel[1], width); j++) {
            largest = Math.max(largest, x[(channel * height + i) * width + j]);
          }
        }
        result[next++] = largest;
      }
    }
  }
  return result;
}

// JavaScript has no error function. This one is right to 1.2e-7 (Press et al., Numerical Recipes, section 6.2, erfcc).
function erf(x) {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  const terms = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
    -0.82215223, 0.17087277];
  const tail = t * Math.exp(-x * x + terms.reduceRight((sum, term) => sum * t + term, 0));
  return x < 0 ? tail - 1 : 1 - tail;
}
