"""A report as one HTML page. It fetches nothing, runs no script, and shows text from runs as text, never as markup.

The Markdown library makes a tree of elements, `ReportLayout` arranges them, and page.html is the frame.
"""

import html
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from string import Template
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

from mnist_exp.analysis import figures
from mnist_exp.analysis.figures import CSS_COLOURS, NARROW, WIDE

PAGE = Path(__file__).with_name("page.html")
ENLARGED = 1.2  # CSS pixels for a point of a figure, where there is room
# What a report does not use of Markdown, since it would turn text into markup or an address.
UNUSED_INLINE = ("html", "entity", "link", "reference", "short_reference", "autolink", "automail", "image_reference",
                 "short_image_ref")  # fmt: skip


def to_page(title: str, markdown: str, plots: Mapping[str, figures.Plot]) -> str:
    """The page. `![alt](figures/<name>.png)` shows the plot of that name as SVG, any other picture its alt text."""
    drawings = {name: [(kind, figures.svg(plot(width=width))) for kind, width in WIDTHS.items()]
                for name, plot in plots.items()}  # fmt: skip
    body = Markdown(extensions=["tables", ReportExtension(drawings)]).convert(markdown)
    return Template(PAGE.read_text(encoding="utf-8")).substitute(title=html.escape(title), body=body)


WIDTHS = {"wide": WIDE, "narrow": NARROW}  # CSS classes: page.html shows the one that fits the screen
Drawings = Mapping[str, list[tuple[str, bytes]]]  # by a figure's name: a CSS class and an SVG


class ReportExtension(Extension):
    """Takes out of Markdown what a report does not use, and adds the layout."""

    def __init__(self, drawings: Drawings) -> None:
        super().__init__()
        self.drawings = drawings

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (Markdown's name)
        md.preprocessors.deregister("html_block")
        md.parser.blockprocessors.deregister("reference")
        for name in UNUSED_INLINE:
            md.inlinePatterns.deregister(name)
        md.treeprocessors.register(ReportLayout(md, self.drawings), "report_layout", priority=15)  # after `inline`: 20


class ReportLayout(Treeprocessor):
    """Gives each table and figure its caption, each row and column its header, and each wide table a scroll bar."""

    def __init__(self, md: Markdown, drawings: Drawings) -> None:
        super().__init__(md)
        self.drawings = drawings

    def run(self, root: Element) -> None:
        # A line in italics is the caption of the table below it, or else of the figure above it.
        for above, block in pairwise([*root]):
            caption = only_child(above, "em")
            if block.tag == "table" and caption is not None:
                root[[*root].index(block)] = scrolling(with_headers(block, caption))
                root.remove(above)
        for block, below in pairwise([*root, Element("end")]):
            image, caption = only_child(block, "img"), only_child(below, "em")
            if image is not None:
                root[[*root].index(block)] = self.figure(image, caption)
                if caption is not None:
                    root.remove(below)
        for image in root.iter("img"):  # a picture within a sentence is none of ours
            image.tag, image.text = "span", image.get("alt", "")
            image.attrib.clear()

    def figure(self, image: Element, caption: Element | None) -> Element:
        figure = Element("figure")
        name, alt = Path(image.get("src", "")).stem, image.get("alt", "")
        for kind, content in self.drawings.get(name, []):
            drawing = inline_svg(content, prefix=f"{name}-{kind}-", label=alt)
            drawing.set("class", kind)
            # As finished HTML: Markdown's serializer would take the &lt; in a name for an entity.
            place = SubElement(figure, "div")
            place.text = self.md.htmlStash.store(ElementTree.tostring(drawing, encoding="unicode"))
        if name not in self.drawings:
            figure.text = alt
        if caption is not None:
            caption.tag, caption.tail = "figcaption", None
            figure.append(caption)
        return figure


def only_child(block: Element, tag: str) -> Element | None:
    """The element of a paragraph that holds nothing else, if it has this tag."""
    if block.tag != "p" or [child.tag for child in block] != [tag]:
        return None
    return None if (block.text or "").strip() or (block[0].tail or "").strip() else block[0]


def with_headers(table: Element, caption: Element) -> Element:
    """The table with its caption, and the first cell of each row as that row's header."""
    caption.tag, caption.tail = "caption", None
    table.insert(0, caption)
    for header in table.iter("th"):
        header.set("scope", "col")
    for row in table.iterfind("tbody/tr"):
        row[0].tag = "th"
        row[0].set("scope", "row")
    return table


def scrolling(table: Element) -> Element:
    """A table that scrolls by itself where it is wider than the screen; the keyboard can reach it, too."""
    label = "".join(table[0].itertext())  # the caption
    region = Element("div", {"class": "scroll", "role": "region", "tabindex": "0", "aria-label": label})
    region.append(table)
    return region


def inline_svg(content: bytes, *, prefix: str, label: str) -> Element:
    """matplotlib's SVG as an element of a page: its colours are the page's, and its ids begin with `prefix`.

    Raises ValueError for a colour that the page has no name for: it could not be seen in dark mode.
    """
    svg = ElementTree.fromstring(content)
    for element in svg.iter():
        element.tag = element.tag.rpartition("}")[2]  # HTML knows the namespace by the tag
        element.attrib = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    svg[:] = [
        child for child in svg if child.tag != "metadata" and child.find("style") is None
    ]  # CSS is for all the page
    used = {identifier for element in svg.iter() for identifier in references(element).values()}
    for element in svg.iter():
        for key, identifier in references(element).items():
            element.set(key, element.attrib[key].replace(f"#{identifier}", f"#{prefix}{identifier}"))
        if (identifier := element.attrib.pop("id", "")) in used:
            element.set("id", f"{prefix}{identifier}")
        if "style" in element.attrib:
            element.set("style", page_style(element.attrib["style"]))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    svg.attrib = {"viewBox": svg.attrib["viewBox"], "width": f"{ENLARGED * width:.0f}",
                  "height": f"{ENLARGED * height:.0f}", "role": "img", "aria-label": label}  # fmt: skip
    return svg


def references(element: Element) -> dict[str, str]:
    """The ids that an SVG element refers to, by attribute: `href="#marker"`, `clip-path="url(#panel)"`."""
    given = {key: element.get(key, "").removeprefix("url(").removesuffix(")") for key in ("href", "clip-path")}
    return {key: value[1:] for key, value in given.items() if value.startswith("#")}


def page_style(style: str) -> str:
    """An element's style with the page's font, and the page's colours by their names."""
    declarations = dict(each.split(": ", 1) for each in style.split("; ") if ": " in each)
    declarations.pop("font-family", None)
    for key in ("fill", "stroke"):
        color = declarations.get(key, "none")
        if color in CSS_COLOURS:
            declarations[key] = f"var({CSS_COLOURS[color]})"
        elif color != "none":
            raise ValueError(f"the page has no name for the colour {color} of a figure: add it to CSS_COLOURS")
    return "; ".join(f"{key}: {value}" for key, value in declarations.items())
