"""Labels into the text of an `.nfo`: everything that is not vidclf's stays as it is, byte for byte.

An XML parser says where things are; what is written is the old text with lines put in or taken out. (Writing
the parsed tree instead would lose quotes, CDATA, white space between attributes and the order of them.)
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from vidclf_cli.metadata.files import CHARSET
from vidclf_cli.metadata.nfo import LIMIT_BYTES, ROOTS, declared_charset
from vidclf_cli.metadata.nfo_mark import Owned, format_mark, key_of, parse_mark

_ELEMENTS = ("tag", "genre")
_INDENT = b"  "
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_START_TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_LINE_END = re.compile(rb"[ \t]*\r?\n")
_NEW = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<{root}>\n  <title>{title}</title>\n</{root}>\n'
)


class NfoError(Exception):
    """An `.nfo` that is left alone; the text says why."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Where something stands, in bytes of UTF-8.

    Attributes:
        name: Of the element, in lower case; empty for a comment.
        text: What it holds.
        start: Where it begins.
        end: Where it ends.
        is_plain: Whether it is an element with text and nothing else, as vidclf writes them.
    """

    name: str
    text: str
    start: int
    end: int
    is_plain: bool = False


@dataclass(slots=True)
class _Outline:
    """Where things are in a file.

    Attributes:
        root: Name of the root element.
        end: Where its closing tag begins; of `<movie/>` where its `/` is.
        is_empty: Whether it is such a tag.
        child: Where the first element below the root begins, -1 when there is none.
        values: Tags and genres directly below the root.
        marks: vidclf's comments; it writes one.
        owned: What they say.
    """

    root: str = ""
    end: int = 0
    is_empty: bool = False
    child: int = -1
    values: list[_Span] = field(default_factory=list)
    marks: list[_Span] = field(default_factory=list)
    owned: Owned = ()


def merge_labels(data: bytes, labels: Sequence[str]) -> bytes:
    """Return an `.nfo` that has each label as a tag and as a genre, and none that vidclf gave earlier.

    Values that are there already, in any case, are not repeated. Without any change the very same bytes
    come back; with no labels, those from before the first merge.

    Args:
        data: The whole file.
        labels: What holds now.

    Raises:
        NfoError: The file is not one XML tree of a media centre, or could not be merged without a risk.
    """
    text, charset, bom = _decode(data)
    before = text.encode("utf-8")
    after = _merge(before, labels)
    if after == before:
        return data
    merged = bom + after.decode("utf-8").encode(charset, "xmlcharrefreplace")
    if len(merged) > LIMIT_BYTES:
        raise NfoError("it is too large")
    _scan(_decode(merged)[0].encode("utf-8"))
    return merged


def new_nfo(root: str, title: str, labels: Sequence[str]) -> bytes:
    """Return a new file with the labels as tags and genres.

    Args:
        root: `movie` or `episodedetails`.
        title: Shown by media centres; vidclf does not read it back as evidence.
        labels: What holds.
    """
    title = _NOT_XML.sub("", title)
    skeleton = _NEW.format(root=root, title=escape(title)).encode("utf-8")
    return _merge(skeleton, labels, (("title", title),) if title else ())


def has_mark(data: bytes) -> bool:
    """Tell whether vidclf changed a file before, of which `merge_labels` could make something."""
    return _scan(_decode(data)[0].encode("utf-8")).marks != []


def _merge(utf8: bytes, labels: Sequence[str], also_owned: Owned = ()) -> bytes:
    outline = _scan(utf8)
    ours = _own_values(outline)
    added = _missing(labels, [value for value in outline.values if value not in ours])
    owned_before = [pair for pair in outline.owned if pair[0] in _ELEMENTS]
    if _keys(added) == _keys((value.name, value.text) for value in ours) == _keys(owned_before):
        return utf8
    carried = (*also_owned, *(pair for pair in outline.owned if pair[0] not in _ELEMENTS))
    lines = [f"<{element}>{escape(value)}</{element}>" for element, value in added]
    if added or carried:
        lines.insert(0, format_mark((*carried, *added)))
    edits = [(*_with_line(utf8, span), b"") for span in (*ours, *outline.marks)]
    if lines:
        edits.append(_insertion(utf8, outline, [line.encode("utf-8") for line in lines]))
    for start, end, replacement in sorted(edits, reverse=True):
        utf8 = utf8[:start] + replacement + utf8[end:]
    return utf8


def _own_values(outline: _Outline) -> list[_Span]:
    """Find what vidclf's comment names; where a value is there several times, the last one is ours."""
    ours: list[_Span] = []
    for element, value in outline.owned:
        wanted = (element, key_of(value))
        fitting = (
            span
            for span in reversed(outline.values)
            if span.is_plain and span not in ours and (span.name, key_of(span.text)) == wanted
        )
        if found := next(fitting, None):
            ours.append(found)
    return ours


def _missing(labels: Sequence[str], others: Sequence[_Span]) -> list[tuple[str, str]]:
    """Return elements and values for labels that others did not give already."""
    # Kodi and Jellyfin take `Action / Drama` for two genres.
    there = {(value.name, key_of(part)) for value in others for part in (value.text, *value.text.split("/"))}
    wanted: dict[tuple[str, str], tuple[str, str]] = {}
    for label in (_NOT_XML.sub("", label).strip() for label in labels):
        for element in _ELEMENTS if label else ():
            wanted.setdefault((element, key_of(label)), (element, label))
    return [pair for key, pair in wanted.items() if key not in there]


def _keys(pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(element, key_of(value)) for element, value in pairs}


def _with_line(utf8: bytes, span: _Span) -> tuple[int, int]:
    """Return what to take out: with its line when nothing else is on it."""
    line_start = utf8.rfind(b"\n", 0, span.start) + 1
    line_end = _LINE_END.match(utf8, span.end)
    if line_start and line_end and not utf8[line_start : span.start].strip(b" \t"):
        return line_start, line_end.end()
    return span.start, span.end


def _insertion(utf8: bytes, outline: _Outline, lines: Sequence[bytes]) -> tuple[int, int, bytes]:
    """Return where lines go, what they replace, and how they look there."""
    if outline.is_empty:
        body = b"".join(b"\n" + _INDENT + line for line in lines)
        return outline.end, outline.end + 2, b">" + body + b"\n</" + outline.root.encode("utf-8") + b">"
    line_start = utf8.rfind(b"\n", 0, outline.end) + 1
    if not line_start or utf8[line_start : outline.end].strip(b" \t"):
        return outline.end, outline.end, b"".join(lines)  # all on one line
    line_end = b"\r\n" if utf8[:line_start].endswith(b"\r\n") else b"\n"
    indent = _indent_of(utf8, outline.child) if outline.child >= 0 else _INDENT
    return line_start, line_start, b"".join(indent + line + line_end for line in lines)


def _indent_of(utf8: bytes, at: int) -> bytes:
    before = utf8[utf8.rfind(b"\n", 0, at) + 1 : at]
    return _INDENT if before.strip(b" \t") else before


def _decode(data: bytes) -> tuple[str, str, bytes]:
    """Return text, charset and byte order mark.

    Raises:
        NfoError: It would not come back as it was.
    """
    bom, charset = next(((bom, charset) for bom, charset in _BOMS if data.startswith(bom)), (b"", ""))
    if not bom:
        charset = declared_charset(data) or "utf-8"
        if not CHARSET.fullmatch(charset):
            raise NfoError(f"it is in {charset}, which vidclf does not write")
    try:
        text = data[len(bom) :].decode(charset)
        is_same = text.encode(charset) == data[len(bom) :]
    except (UnicodeError, LookupError) as error:
        raise NfoError(f"it is not in {charset}, though it should be") from error
    if not is_same:
        raise NfoError(f"its {charset} cannot be written as it was")
    return text, charset, bom


def _scan(utf8: bytes) -> _Outline:
    """Find what matters in a file.

    Raises:
        NfoError: It is not one XML tree of a media centre, or has a DOCTYPE, which may hold anything.
    """
    scanner = _Scanner(utf8)
    try:
        scanner.parser.Parse(utf8, True)
    except expat.ExpatError as error:
        if scanner.is_closed:
            raise NfoError("something follows its XML, a link or another root") from error
        raise NfoError(f"it is not XML ({error})") from error
    outline = scanner.outline
    if outline.root.lower() not in ROOTS:
        raise NfoError(f"its root is <{outline.root}>, which no media centre reads")
    return outline


class _Scanner:
    """Notes what the parser meets."""

    def __init__(self, utf8: bytes) -> None:
        self.outline = _Outline()
        self._utf8 = utf8
        self._open: list[int] = []
        self._texts: list[str] = []
        self._is_plain = False
        # The charset is given since the text was decoded already; the declaration may say another one.
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.CommentHandler = self._comment

    @property
    def is_closed(self) -> bool:
        """Whether the root's end was met."""
        return bool(self.outline.root) and not self._open

    def _doctype(self, *_: object) -> None:
        raise NfoError("it has a DOCTYPE")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self.parser.CurrentByteIndex
        if not self._open:
            self.outline.root = name
        elif len(self._open) == 1 and self.outline.child < 0:
            self.outline.child = at
        self._open.append(at)
        self._texts = []
        self._is_plain = not attributes

    def _text(self, text: str) -> None:
        self._texts.append(text)

    def _comment(self, text: str) -> None:
        self._is_plain = False
        owned = parse_mark(text)
        if owned is not None:
            at = self.parser.CurrentByteIndex
            self.outline.marks.append(_Span("", text, at, self._utf8.index(b"-->", at) + 3))
            self.outline.owned += owned

    def _end(self, name: str) -> None:
        at, start = self.parser.CurrentByteIndex, self._open.pop()
        is_empty = not self._utf8.startswith(b"</", at)
        if not self._open:
            self.outline.is_empty = is_empty
            self.outline.end = self._end_of_start_tag(at) - 2 if is_empty else at
        elif len(self._open) == 1 and name.lower() in _ELEMENTS and not is_empty:
            end = self._utf8.index(b">", at) + 1
            span = _Span(name.lower(), "".join(self._texts), start, end, self._is_plain)
            self.outline.values.append(span)
        self._is_plain = False

    def _end_of_start_tag(self, at: int) -> int:
        tag = _START_TAG.match(self._utf8, at)
        return tag.end() if tag else at
