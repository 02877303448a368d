"""The page of a report: its layout, its figures, and that text stays text.

python -m pytest tests/analysis/test_page.py -v
"""

import re
from functools import partial
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mnist_exp.analysis.figures import CSS_COLOURS, GroupStyles, Mistake, accuracy_against_time, mistakes, svg
from mnist_exp.analysis.page import PAGE, inline_svg, page_style, to_page

RUNS = pd.DataFrame({"group": ["a", "b & <c>"], "fit_seconds": [1.0, 2.0], "test/acc": [0.9, 0.8]})
TIME = partial(accuracy_against_time, RUNS, GroupStyles.of(["a", "b & <c>"]))
DIGITS = partial(mistakes, {"A": [Mistake(np.eye(28, dtype=np.uint8), 5, 6)]})
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- ",
    "<?php",
    "&lt;b&gt;",
    "[x](javascript:alert(1))",
    "![x](http://127.0.0.1/x.png)",
    "<javascript:alert(1)>",
    "<http://127.0.0.1/>",
    "[x]: http://127.0.0.1/",
    "</svg><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "$body",
    '" onload="alert(1)',
)


class Page(HTMLParser):
    """The elements of a page, with attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def body(markdown: str, **plots) -> str:
    return to_page("t", markdown, plots).partition("<main>")[2].partition("</main>")[0].strip()


# --- layout ---


def test_a_table_has_its_caption_headers_and_a_scroll_bar_of_its_own():
    table = "*Groups*\n\n| model | acc |\n| :-- | --: |\n| `mlp` | 90 |\n| `cnn` | 99 |"
    assert body(table).replace("\n", "") == (
        '<div aria-label="Groups" class="scroll" role="region" tabindex="0"><table><caption>Groups</caption>'
        '<thead><tr><th scope="col" style="text-align: left;">model</th>'
        '<th scope="col" style="text-align: right;">acc</th></tr></thead><tbody>'
        '<tr><th scope="row" style="text-align: left;"><code>mlp</code></th><td style="text-align: right;">90</td></tr>'
        '<tr><th scope="row" style="text-align: left;"><code>cnn</code></th><td style="text-align: right;">99</td></tr>'
        "</tbody></table></div>"
    )


def test_a_figure_takes_the_line_in_italics_below_it_unless_that_is_a_tables():
    table = "| a |\n| :-- |\n| 1 |"
    assert "<figcaption>below</figcaption>" in body("![alt](figures/x.png)\n\n*below*\n\nmore")
    page = body(f"![alt](figures/x.png)\n\n*groups*\n\n{table}")
    assert "<caption>groups</caption>" in page
    assert "figcaption" not in page
    assert body("*only italics*") == "<p><em>only italics</em></p>"


def test_a_figure_is_drawn_for_both_screens_and_read_aloud_by_its_alt_text():
    page = Page(to_page("t", "![Two runs](figures/time.png)", {"time": TIME}))
    assert [(each["class"], each["role"], each["aria-label"]) for each in page.of("svg")] == [
        ("wide", "img", "Two runs"),
        ("narrow", "img", "Two runs"),
    ]
    assert "b & <c>" in page.text  # a group's name, in the legend


def test_a_picture_without_a_plot_is_its_alt_text():
    assert body("![Two runs](figures/other.png)", time=TIME) == "<figure>Two runs</figure>"
    assert body("see ![this](http://127.0.0.1/x.png) picture") == "<p>see <span>this</span> picture</p>"


# --- figures ---


def test_ids_are_unique_on_the_page_and_every_reference_is_met():
    page = to_page("t", "![a](figures/time.png)\n\n![b](figures/again.png)", {"time": TIME, "again": TIME})
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids)) > 0
    assert {*re.findall(r'href="#([^"]*)"', page), *re.findall(r"url\(#([^)]*)\)", page)} == set(ids)


def test_a_figure_has_the_pages_colours_alone_in_light_and_dark():
    drawn = ElementTree.tostring(inline_svg(svg(TIME()), prefix="x-", label="x"), encoding="unicode")
    assert not re.findall(r"(?:fill|stroke): *#", drawn)
    used = set(re.findall(r"var\((--[\w-]+)\)", drawn))
    light, dark = PAGE.read_text().split("prefers-color-scheme: dark")
    assert used
    assert used <= set(CSS_COLOURS.values())
    for name in CSS_COLOURS.values():
        assert f"{name}: #" in light
        assert f"{name}: #" in dark


def test_the_pages_light_colours_are_those_of_the_pngs():
    light = PAGE.read_text().split("prefers-color-scheme: dark")[0]
    assert {color: name for color, name in CSS_COLOURS.items() if f"{name}: {color};" not in light} == {}


def test_a_colour_without_a_name_is_an_error():
    assert page_style("fill: none; stroke: #0072b2; font-family: 'X', sans") == "fill: none; stroke: var(--series-1)"
    with pytest.raises(ValueError, match="#123456"):
        page_style("fill: #123456")


def test_an_svg_leaves_behind_what_would_act_on_the_page():
    figure = Figure(figsize=(1, 2))
    figure.text(0, 0, "text")
    drawn = inline_svg(svg(figure), prefix="x-", label="x")
    assert drawn.tag == "svg"
    assert (drawn.get("width"), drawn.get("height"), drawn.get("viewBox")) == ("86", "173", "0 0 72 144")
    assert {element.tag for element in drawn.iter()} <= {"svg", "g", "path", "text"}


def test_digits_are_part_of_the_page():
    pictures = Page(to_page("t", "![a](figures/digits.png)", {"digits": DIGITS})).of("image")
    assert len(pictures) == 2
    assert all(picture["href"].startswith("data:image/png;base64,") for picture in pictures)


# --- text stays text ---


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_or_an_address(text):
    plain = Page(to_page("t", "*c*\n\n| a |\n| :-- |\n| x |\n\nx ![y](figures/none.png)", {}))
    table = f"*c*\n\n| a |\n| :-- |\n| {text} |"
    page = Page(to_page(text, f"{text}\n\nin a line: {text}\n\n# {text}\n\n- {text}\n\n{table}", {}))
    allowed = {tag for tag, _ in plain.elements} | {"h1", "ul", "li", "em", "figure"}
    assert {tag for tag, _ in page.elements} <= allowed
    for tag, attributes in page.elements:
        assert attributes.keys() <= {"lang", "charset", "http-equiv", "content", "name", "aria-label", "class", "role",
                                     "tabindex", "scope", "style"}, tag  # fmt: skip


def test_the_page_forbids_scripts_and_requests():
    (policy,) = [each["content"] for each in Page(to_page("t", "", {})).of("meta") if each.get("http-equiv")]
    assert policy.split("; ")[0] == "default-src 'none'"
    assert not re.search("script|connect|http|unsafe-eval", policy)
    page = to_page("t", "", {})
    assert page.index("Content-Security-Policy") < page.index("<style>")  # a policy holds for what follows it
    assert not re.search(r"(src|href)=\"(?!data:|#)|url\((?!#)|@import|<script|<link", page)
