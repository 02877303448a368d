"""Numbers and names as Markdown: python -m pytest tests/analysis/test_markdown.py -v"""

import numpy as np
import pytest

from mnist_exp.analysis.markdown import (
    LONGEST_CODE,
    NOTHING,
    code,
    corrected,
    counted,
    interval,
    markdown_table,
    number,
    p_value,
    paragraphs,
    percent,
    plain_text,
    points,
)
from mnist_exp.analysis.statistics import Summary


def test_a_table_leaves_out_empty_columns_and_aligns_numbers_right():
    rows = [["`a`", "1.00", NOTHING, "`x`"], ["`b`", "–", "", "`y`"]]
    assert markdown_table("Caption", ["name", "acc", "std", "level"], rows).splitlines() == [
        "*Caption*",
        "",
        "| name | acc | level |",
        "| :-- | --: | :-- |",
        "| `a` | 1.00 | `x` |",
        "| `b` | – | `y` |",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data=csv", "`data=csv`"),
        ("a`b", "`a'b`"),
        ("a | b", "`a ¦ b`"),
        ("two\nlines\t here", "`two lines here`"),
        ("ends with \\", "`ends with \\ `"),
        ("", "` `"),
        (None, "`None`"),
    ],
)
def test_code_cannot_be_left_by_what_is_in_it(text, expected):
    assert code(text) == expected


def test_long_code_is_cut():
    assert code("x" * LONGEST_CODE) == f"`{'x' * LONGEST_CODE}`"
    assert code("x" * (LONGEST_CODE + 1)) == f"`{'x' * (LONGEST_CODE - 1)}…`"


@pytest.mark.parametrize("sign", ["\x1b", "\x00", "\ud800", "\u202e", "\x9b"])
def test_what_cannot_be_printed_is_replaced(sign):
    assert plain_text(f"a{sign}[31mb") == "a�[31mb"


def test_letters_of_any_script_are_kept():
    assert plain_text("Ziffern äöü 数字 €") == "Ziffern äöü 数字 €"


def test_numbers():
    assert [number(1.005, 1), number(1234.5, 0), number(np.nan)] == ["1.0", "1234", NOTHING]
    assert percent(0.98765) == "98.77%"
    assert [points(0.012), points(-0.012), points(-0.00001), points(0)] == ["+1.20", "−1.20", "0.00", "0.00"]
    assert interval(Summary(0, 0, 2, -0.01, 0.02)) == "[−1.00, +2.00]"
    assert interval(Summary(0, np.nan, 1, np.nan, np.nan)) == NOTHING
    assert [counted(1, "run"), counted(0, "run"), counted(2, "run")] == ["1 run", "0 runs", "2 runs"]


def test_p_values_below_a_thousandth_are_not_spelled_out():
    assert [p_value(0.0009), p_value(0.001), p_value(0.05), p_value(np.nan)] == ["< 0.001", "0.001", "0.050", NOTHING]
    assert corrected(0.01, 0.03) == "0.010 (0.030)"
    assert corrected(np.nan, np.nan) == NOTHING


def test_paragraphs_without_content_are_left_out():
    assert paragraphs("a", "", "b") == "a\n\nb"
