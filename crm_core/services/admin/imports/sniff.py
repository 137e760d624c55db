"""How a text file is written: encoding, delimiter, quotation mark, line of the headers. Found by looking, shown to people, open to their choice."""

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crm_core.errors import Invalid

ENCODINGS: dict[str, str] = {
    "utf-8": "Unicode (UTF-8)",
    "utf-16-le": "Unicode (UTF-16)",
    "utf-16-be": "Unicode (UTF-16, big-endian)",
    "utf-32": "Unicode (UTF-32)",
    "cp1252": "Western European (Windows)",
    "cp1250": "Central European (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "cp1253": "Greek (Windows)",
    "cp1254": "Turkish (Windows)",
    "cp1258": "Vietnamese (Windows)",
    "iso8859-15": "Western European (ISO)",
    "mac-roman": "Western European (old Mac)",
    "shift_jis": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
    "big5": "Chinese (Big 5)",
    "euc-kr": "Korean (EUC)",
}
DELIMITERS: dict[str, str] = {",": "comma ,", ";": "semicolon ;", "\t": "tab", "|": "bar |"}
QUOTES: dict[str, str] = {'"': 'double "', "'": "single '"}

_SAMPLE = 256 * 1024
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FOREIGN = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls). Save it as .xlsx or CSV first",
    b"%PDF": "a PDF. Export the table as CSV or .xlsx first",
    b"\x1f\x8b": "compressed (gzip). Unpack it first",
    b"PK\x03\x04": "a packed file. If it is a spreadsheet, its name must end in .xlsx",
}


@dataclass(frozen=True)
class Layout:
    """How the file is laid out. ``header_line`` counts from 1; 0 means that there are no headers."""

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    header_line: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Layout":
        return cls(**{key: kept[key] for key in ("encoding", "delimiter", "quote", "header_line") if key in kept})

    def checked(self) -> "Layout":
        """Itself, or Invalid when somebody chose what is not on offer."""
        fits = self.encoding in ENCODINGS and self.delimiter in DELIMITERS and self.quote in QUOTES and 0 <= self.header_line <= 100
        if not fits:
            raise Invalid(
                "This way of reading the file is not known. Choose encoding, delimiter and quotation mark from the lists."
            )
        return self


def sniff(path: Path) -> Layout:
    """The most likely layout of a text file. Raises Invalid for a file that is no table of text."""
    refuse_foreign(path)
    encoding = sniff_encoding(path)
    text = _sample(path, encoding)
    if not text.strip():
        raise Invalid("The file is empty.")
    layout = Layout(encoding=encoding)
    told = re.match(r'^"?sep=(.)"?\r?\n', text, re.IGNORECASE)  # Excel writes and obeys this line
    if told and told[1] in DELIMITERS:
        return replace(layout, delimiter=told[1], header_line=2)
    delimiter = sniff_delimiter(text)
    layout = replace(layout, delimiter=delimiter, quote=_sniff_quote(text, delimiter))
    first = next(csv.reader(io.StringIO(text), delimiter=delimiter, quotechar=layout.quote), [])
    return replace(layout, header_line=0) if _is_data(first) else layout


def refuse_foreign(path: Path) -> None:
    """Raise Invalid for kinds of files that people upload by mistake."""
    with path.open("rb") as file:
        head = file.read(8)
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise Invalid(f"This is {what}.")


def sniff_encoding(path: Path) -> str:
    """The encoding: a byte order mark decides, then valid UTF-8 of the whole file, then the likeliest old code page of a sample."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    nuls = sample.count(b"\0")
    if nuls > len(sample) * 0.2:
        odd = sample[1::2].count(b"\0")
        return "utf-16-le" if odd > nuls - odd else "utf-16-be"
    if _is_utf8(path):
        return "utf-8"
    return "cp1252" if _is_western(sample) else _guess(sample)


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _is_western(sample: bytes) -> bool:
    """True when every byte above ASCII is a letter or a mark of Western European text, and they are few."""
    high = Counter(byte for byte in sample if byte > 127)
    usual = set(range(0xC0, 0x100)) - {0xD0, 0xDE, 0xF0, 0xFE, 0xD7, 0xF7} | set(
        b"\x80\x85\x91\x92\x93\x94\x95\x96\x97\x99\xa0\xa3\xa7\xa9\xab\xae\xb0\xb4\xbb"
    )
    letters = len(re.findall(rb"[A-Za-z]", sample))
    return sum(count for byte, count in high.items() if byte not in usual) == 0 and sum(high.values()) < max(1, letters) * 0.25


def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    pages = [name.replace("-", "_") for name in ENCODINGS if not name.startswith("utf")]
    best = from_bytes(sample, cp_isolation=pages).best()
    if best is None:
        return "cp1252"
    return next((name for name in ENCODINGS if codecs.lookup(name).name == codecs.lookup(best.encoding).name), "cp1252")


def _sample(path: Path, encoding: str) -> str:
    with path.open("rb") as file:
        raw = file.read(_SAMPLE)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    text = decoder.decode(raw).removeprefix("\ufeff").replace("\0", "")
    strange = sum(ord(c) < 32 and c not in "\r\n\t\f" for c in text)
    if strange > max(10, len(text) * 0.02):
        raise Invalid("This file holds no table of text. Upload CSV or .xlsx.")
    return text


def sniff_delimiter(text: str) -> str:
    """The delimiter under which most lines have the same number of cells, and more than one."""

    def score(delimiter: str) -> tuple[float, int]:
        widths = Counter(len(row) for row in _first_rows(text, delimiter) if row)
        if not widths:
            return 0.0, 0
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        return (count / sum(widths.values()), width) if width > 1 else (0.0, 1)

    # In a tie the comma loses: it stands inside numbers (10,50), the others hardly ever do.
    return max(("\t", ";", "|", ","), key=score)


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            rows.append(row)
            if len(rows) >= 200:
                return rows
    except csv.Error:
        return rows
    return rows[:-1] if len(text) >= _SAMPLE // 4 and len(rows) > 1 else rows  # the last line of a sample may be cut


def _sniff_quote(text: str, delimiter: str) -> str:
    mark = re.escape(delimiter)
    counts = {
        quote: len(re.findall(rf"(?:^|{mark}){quote}[^\r\n]*?{quote}(?={mark}|\r|\n|$)", text, re.MULTILINE)) for quote in QUOTES
    }
    return "'" if counts["'"] > 2 * counts['"'] + 2 else '"'


def _is_data(first: list[str]) -> bool:
    """True when the first line can hardly be headers: most of its cells are numbers."""
    cells = [cell.strip() for cell in first if cell.strip()]
    numbers = sum(bool(re.fullmatch(r"[-+]?[\d.,:/ -]*\d", cell)) for cell in cells)
    return bool(cells) and numbers > len(cells) / 2
