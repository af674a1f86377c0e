"""Checks of an SVG document before the renderer sees it: its syntax, what it refers to, and how far it expands.

resvg is a careful parser, but it looks into files that an image names, and a document of a kilobyte can expand to
billions of elements. So expat, from the standard library, reads the document first and refuses all that is not a
picture by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from renderer.errors import InvalidSpec
from renderer.kinds.dataurl import image_size, image_type, parse_data_url
from renderer.kinds.svg.expand import Node, all_nodes, by_ids, check_expansion
from renderer.kinds.svg.reach import MAX_REACH, Extent, Reach, smallest_side
from renderer.kinds.svg.style import give_references
from renderer.kinds.svg.work import check_work
from renderer.limits import current

FIELD = "svg"
MAX_DEPTH = 200
MAX_NESTED_DOCUMENTS = 3

_URL = re.compile(r"url\(\s*[\"']?\s*([^\"')\s]*)", re.IGNORECASE)
_IMPORT = re.compile(r"@import", re.IGNORECASE)
# One that is not closed goes on to the end, and is looked for once.
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
# Where an address is a hyperlink for a reader to follow: nothing is loaded.
_LINKS = frozenset({"a"})
_SVG_TYPES = frozenset({"image/svg+xml", "text/plain"})


def check_svg(text: str) -> Extent:
    """Raise InvalidSpec, naming the field `svg`, for a document that must not be rendered.

    Return what it takes, in its own pixels.
    """
    return _Document(nesting=0).read(text)


def check_extent(extent: Extent, factor: float = 1.0) -> None:
    """Refuse a document that draws further out than resvg can count, or large tiles, once it is enlarged by `factor`."""
    reach, tile, most = extent.reach, extent.tile * factor * factor, current().frame_pixels
    if not tile <= most:
        raise _invalid(f"the tile of a pattern takes up to {tile:.3g} pixels; at most {most:,} are allowed")
    if not reach * factor <= MAX_REACH:
        raise _invalid(f"draws as far as {reach * factor:.3g} pixels out; {MAX_REACH:,.0f} are the most")


def _invalid(reason: str) -> InvalidSpec:
    return InvalidSpec(reason, field=FIELD)


@dataclass
class _Document:
    """One pass over one document; a document within a data URL gets a pass of its own."""

    nesting: int
    open_nodes: list[Node] = field(default_factory=list)
    root: Node | None = None
    style: list[str] = field(default_factory=list)
    image_pixels: int = 0

    def read(self, text: str) -> Extent:
        """Check a document; return what it takes."""
        self._parse(text)
        css = _COMMENT.sub(" ", "".join(self.style))
        self._check_css(css)
        if self.root is None or self.root.name != "svg":
            raise _invalid("the root of the document is not <svg>")
        nodes = all_nodes(self.root)
        by_id = by_ids(nodes)
        try:
            check_work(nodes, css)
            give_references(nodes, css)
            order = check_expansion(self.root, nodes, by_id, markers_in_css="marker" in css)
        except ValueError as error:
            raise _invalid(str(error)) from None
        extent = Reach(by_id, css).of(order)
        check_extent(extent)
        return extent

    def _parse(self, text: str) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.ProcessingInstructionHandler = self._instruction
        try:
            parser.Parse(text, True)  # noqa: FBT003 - expat's own signature
        except expat.ExpatError as error:
            raise _invalid(f"not well-formed XML: {error}") from None
        except UnicodeEncodeError:
            raise _invalid("holds a character that no encoding can carry (a lone surrogate)") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open_nodes) >= MAX_DEPTH:
            raise _invalid(f"elements are nested more than {MAX_DEPTH} deep")
        local = name.rpartition(":")[2]
        node = Node(local, attributes)
        if self.open_nodes:
            self.open_nodes[-1].children.append(node)
        else:
            self.root = node
        self.open_nodes.append(node)
        for attribute, value in attributes.items():
            self._check_attribute(local, attribute.rpartition(":")[2], value)

    def _end(self, _name: str) -> None:
        self.open_nodes.pop()

    def _text(self, text: str) -> None:
        if self.open_nodes:
            self.open_nodes[-1].letters += len(text)
        if self.open_nodes and self.open_nodes[-1].name == "style":
            self.style.append(text)

    def _doctype(self, _name: str, _system: str | None, _public: str | None, internal: Any) -> None:
        if internal:
            raise _invalid("a DOCTYPE with declarations of its own is not allowed: remove it")

    def _entity(self, name: str, *_details: Any) -> None:
        raise _invalid(f"entities are not allowed: write out &{name};")

    def _instruction(self, target: str, _data: str) -> None:
        if target.lower() == "xml-stylesheet":
            raise _invalid("an external style sheet is not allowed: put it into <style>")

    def _check_attribute(self, element: str, attribute: str, value: str) -> None:
        if attribute in {"href", "src"} and element not in _LINKS:
            self._check_address(element, value.strip())
        elif "url(" in value.lower() or "@import" in value.lower():
            self._check_css(value)

    def _check_css(self, css: str) -> None:
        css = _COMMENT.sub(" ", css)
        if _IMPORT.search(css):
            raise _invalid("@import is not allowed: put the style sheet into <style>")
        for address in _URL.findall(css):
            if not address.startswith("#") and not address.lower().startswith("data:"):
                raise _external(address)

    def _check_address(self, element: str, address: str) -> None:
        if address.startswith("#") or not address:
            return
        if not address.lower().startswith("data:"):
            raise _external(address)
        if element in {"image", "feImage"}:
            self._check_picture(address)

    def _check_picture(self, address: str) -> None:
        """Hold a picture in a data URL to the limit on pixels before anything decodes it."""
        if "#" in address:
            raise _invalid("a # ends a data URL, and the rest of the picture is lost: write %23")
        try:
            found = parse_data_url(address)
        except ValueError as error:
            raise _invalid(str(error)) from None
        size = image_size(found.data)
        if size is None:
            self._check_nested(found.media_type, found.data)
            return
        is_one_of = {image_type(found.data), "text/plain"}
        # resvg goes by the type that is stated, and leaves out a picture of another one.
        if found.media_type.replace("/jpg", "/jpeg") not in is_one_of:
            raise _invalid(f"a picture of type {found.media_type} is {image_type(found.data)}: correct its type")
        if min(size) < 1:
            raise _invalid(f"a picture of {size[0]} x {size[1]} pixels cannot be drawn")
        self.image_pixels += size[0] * size[1]
        if self.image_pixels > current().frame_pixels:
            limit = f"{current().frame_pixels:,}"
            raise _invalid(f"its pictures claim {self.image_pixels:,} pixels in their headers; at most {limit} fit")

    def _check_nested(self, media_type: str, data: bytes) -> None:
        if media_type not in _SVG_TYPES:
            raise _invalid(f"a picture of type {media_type} is not a PNG, JPEG, GIF, WebP or SVG")
        if self.nesting >= MAX_NESTED_DOCUMENTS:
            raise _invalid(f"SVG within SVG within SVG, more than {MAX_NESTED_DOCUMENTS} deep")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid("an SVG within a data URL is UTF-8, not compressed") from None
        inner = _Document(self.nesting + 1)
        extent = inner.read(text)
        if inner.root is not None:
            self.open_nodes[-1].within = extent.reach / smallest_side(inner.root)


def _external(address: str) -> InvalidSpec:
    shown = address if len(address) <= 60 else address[:60] + "…"  # noqa: PLR2004
    return _invalid(f"refers to {shown!r}: only #id and data: are allowed, nothing is fetched")
