"""A classifier as one file in C99 that needs nothing but the standard library.

The file holds the weights and a function `classify`. Nothing in it is text from a checkpoint: only numbers are.
"""

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from mnist_exp.models.plain_layers import Layer, PlainNetwork

PER_LINE = 8  # numbers
COMPILER = "cc"
FLAGS = ("-std=c99", "-O3")

HEADER = """\
/* Recognise a handwritten digit. Written by mnist_exp.export.
 *
 *   int classify(const uint8_t image[784], float probabilities[10]);
 *
 * image: 28x28 pixels row by row, white (255) on black (0), in MNIST's form.
 * probabilities: of the digits 0 to 9; it may be NULL. Returns the most likely digit.
 * It uses static memory: call it from one thread at a time.
 *
 * As a program that reads images of 784 bytes from its standard input, and prints a line for each:
 *   cc -std=c99 -O3 -DCLASSIFY_MAIN model.c -lm -o digits
 *   tail -c +17 t10k-images-idx3-ubyte | ./digits
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

int classify(const uint8_t image[784], float probabilities[10]);
"""

FUNCTIONS = {
    "conv": """\
/* channels, height and width of what comes in and goes out; kernel, stride and padding down and across */
static void conv(const float *in, int c, int h, int w, float *out, int out_c, int out_h, int out_w, int kernel_h,
                 int kernel_w, int stride_h, int stride_w, int pad_h, int pad_w, int groups, const float *weights,
                 const float *bias) {
    const int group_c = c / groups, group_out = out_c / groups;
    for (int o = 0; o < out_c; o++, out += out_h * out_w) {
        const float *plane = in + (o / group_out) * group_c * h * w;
        for (int i = 0; i < out_h * out_w; i++) out[i] = bias[o];
        for (int k = 0; k < group_c; k++, plane += h * w) {
            for (int i = 0; i < kernel_h; i++) {
                for (int j = 0; j < kernel_w; j++) {
                    const float weight = *weights++;
                    const int left = j - pad_w, room = w - 1 - left;
                    const int first = left < 0 ? (stride_w - 1 - left) / stride_w : 0;
                    const int end = room < 0 ? 0 : room / stride_w + 1 < out_w ? room / stride_w + 1 : out_w;
                    for (int y = 0; y < out_h; y++) {
                        const int row = y * stride_h + i - pad_h;
                        if (row < 0 || row >= h) continue;
                        const float *from = plane + row * w + left;
                        float *to = out + y * out_w;
                        if (stride_w == 1) {
                            for (int x = first; x < end; x++) to[x] += weight * from[x];
                        } else {
                            for (int x = first; x < end; x++) to[x] += weight * from[x * stride_w];
                        }
                    }
                }
            }
        }
    }
}
""",
    "pool": """\
/* the largest value of each window */
static void pool(const float *in, int c, int h, int w, float *out, int out_h, int out_w, int kernel_h, int kernel_w,
                 int stride_h, int stride_w, int pad_h, int pad_w) {
    for (int o = 0; o < c; o++, in += h * w) {
        for (int y = 0; y < out_h; y++) {
            for (int x = 0; x < out_w; x++) {
                float largest = -INFINITY;
                for (int i = y * stride_h - pad_h; i < y * stride_h - pad_h + kernel_h; i++) {
                    for (int j = x * stride_w - pad_w; j < x * stride_w - pad_w + kernel_w; j++) {
                        if (i >= 0 && i < h && j >= 0 && j < w && in[i * w + j] > largest) largest = in[i * w + j];
                    }
                }
                *out++ = largest;
            }
        }
    }
}
""",
    "linear": """\
/* weights: a row for each number that comes in */
static void linear(const float *in, int n, float *out, int out_n, const float *weights, const float *bias) {
    for (int o = 0; o < out_n; o++) out[o] = bias[o];
    for (int i = 0; i < n; i++, weights += out_n) {
        if (in[i] == 0.0f) continue;
        for (int o = 0; o < out_n; o++) out[o] += in[i] * weights[o];
    }
}
""",
    "relu": """\
static void relu(float *x, int n) {
    for (int i = 0; i < n; i++) x[i] = x[i] > 0.0f ? x[i] : 0.0f;
}
""",
    "gelu": """\
static void gelu(float *x, int n) {
    for (int i = 0; i < n; i++) x[i] *= 0.5f * (1.0f + erff(x[i] * 0.70710678f));
}
""",
    "keep": """\
static void keep(const float *x, float *kept, int n) {
    for (int i = 0; i < n; i++) kept[i] = x[i];
}
""",
    "add": """\
static void add(float *x, const float *kept, int n) {
    for (int i = 0; i < n; i++) x[i] += kept[i];
}
""",
}

SOFTMAX = """\
    int best = 0;
    for (int i = 1; i < 10; i++) {
        if (%(x)s[i] > %(x)s[best]) best = i;
    }
    if (probabilities != NULL) {
        float sum = 0.0f;
        for (int i = 0; i < 10; i++) sum += probabilities[i] = expf(%(x)s[i] - %(x)s[best]);
        for (int i = 0; i < 10; i++) probabilities[i] /= sum;
    }
    return best;
}
"""

MAIN = """\
#ifdef CLASSIFY_MAIN
#include <stdio.h>

int main(void) {
    uint8_t image[784];
    float probabilities[10];
    size_t bytes;
    while ((bytes = fread(image, 1, sizeof image, stdin)) == sizeof image) {
        const int digit = classify(image, probabilities);
        printf("%d %.6f\\n", digit, probabilities[digit]);
    }
    if (bytes > 0) {
        fprintf(stderr, "the last image has %d bytes, not 784\\n", (int)bytes);
        return 1;
    }
    return ferror(stdin) != 0;
}
#endif
"""


def c_source(network: PlainNetwork) -> str:
    """The file's text. It compiles without a warning under -std=c99 -Wall -Wextra -pedantic."""
    used = {layer.kind for layer in network.layers}
    largest = max(prod(shape) for layer in network.layers for shape in (layer.inputs, layer.outputs))
    arrays = ["a", "b", *(["kept"] if "keep" in used else [])]
    x, calls = "a", []
    for number, layer in enumerate(network.layers, 1):
        calls.append(CALLS[layer.kind](layer, number, x, "b" if x == "a" else "a"))
        if layer.kind in ("conv", "pool", "linear"):
            x = "b" if x == "a" else "a"
    return "\n".join(
        (
            HEADER,
            *(text for kind, text in FUNCTIONS.items() if kind in used),
            *weight_arrays(network),
            "int classify(const uint8_t image[784], float probabilities[10]) {",
            f"    static float {', '.join(f'{name}[{largest}]' for name in arrays)};",
            f"    for (int i = 0; i < 784; i++) a[i] = (float)image[i] * {literal(network.scale)} + "
            f"{literal(network.shift)};",
            *calls,
            SOFTMAX % {"x": x},
            MAIN,
        )
    )


CALLS: dict[str, Callable[[Layer, int, str, str], str]] = {
    "conv": lambda layer, number, x, y: call(
        "conv",
        x,
        *layer.inputs,
        y,
        *layer.outputs,
        *layer.kernel,
        *layer.stride,
        *layer.padding,
        layer.groups,
        f"weights_{number}",
        f"bias_{number}",
    ),
    "pool": lambda layer, _, x, y: call(
        "pool", x, *layer.inputs, y, *layer.outputs[1:], *layer.kernel, *layer.stride, *layer.padding
    ),
    "linear": lambda layer, number, x, y: call(
        "linear", x, prod(layer.inputs), y, layer.outputs[0], f"weights_{number}", f"bias_{number}"
    ),
    "relu": lambda layer, _, x, __: call("relu", x, prod(layer.inputs)),
    "gelu": lambda layer, _, x, __: call("gelu", x, prod(layer.inputs)),
    "keep": lambda layer, _, x, __: call("keep", x, "kept", prod(layer.inputs)),
    "add": lambda layer, _, x, __: call("add", x, "kept", prod(layer.inputs)),
}


def call(function: str, *arguments: str | int) -> str:
    return f"    {function}({', '.join(map(str, arguments))});"


def weight_arrays(network: PlainNetwork) -> Iterator[str]:
    for number, layer in enumerate(network.layers, 1):
        if len(layer.weights):
            weights = layer.weights.T if layer.kind == "linear" else layer.weights
            yield array(f"weights_{number}", weights)
            yield array(f"bias_{number}", layer.bias)


def array(name: str, numbers: Tensor) -> str:
    """Each number in as few digits as give the same float again."""
    digits = [f"{number}f" for number in numbers.flatten().numpy().astype(str)]
    lines = (", ".join(digits[at : at + PER_LINE]) for at in range(0, len(digits), PER_LINE))
    return f"static const float {name}[{len(digits)}] = {{\n    {(',' + chr(10) + '    ').join(lines)}\n}};\n"


def literal(number: float) -> str:
    return f"{np.float32(number)!s}f"


# --- reading, to compare its answers ---


def compiled(path: Path) -> Callable[[Tensor], Tensor] | None:
    """What the file answers: images uint8 (B, 28, 28) -> probabilities float32 (B, 10). None without a C compiler.

    Raises RuntimeError where it cannot be compiled.
    """
    compiler = shutil.which(COMPILER)
    if compiler is None:
        return None
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps a library that is in use
        library = Path(folder) / "model.so"
        command = [compiler, *FLAGS, "-shared", "-fPIC", "-x", "c", str(path), "-lm", "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise RuntimeError(f"{compiler} cannot compile the C file: {done.stderr[:500]}")
        classify = ctypes.CDLL(str(library)).classify

    def answer(images: Tensor) -> Tensor:
        images = images.contiguous()
        probs = torch.empty(len(images), 10)
        for image, row in zip(images, probs, strict=True):
            classify(ctypes.c_void_p(image.data_ptr()), ctypes.c_void_p(row.data_ptr()))
        return probs

    return answer
