"""Recognise files that hold no UTF-8 text by their first bytes."""

from __future__ import annotations

import codecs

_OTHER_CONTENT = {
    b"\x1f\x8b": "is compressed with gzip; give what `gunzip -c FILE` writes",
    b"PK\x03\x04": "is a ZIP archive; unpack it first",
    b"BZh": "is compressed with bzip2; give what `bunzip2 -c FILE` writes",
    b"\xfd7zXZ": "is compressed with xz; give what `xz -dc FILE` writes",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; give what `zstd -dc FILE` writes",
    b"PAR1": "is a Parquet file; export its texts as JSON lines",
    codecs.BOM_UTF32_LE: "is UTF-32; convert it first: `iconv -f UTF-32 -t UTF-8 FILE`",
    codecs.BOM_UTF16_LE: "is UTF-16; convert it first: `iconv -f UTF-16 -t UTF-8 FILE`",
    codecs.BOM_UTF16_BE: "is UTF-16; convert it first: `iconv -f UTF-16 -t UTF-8 FILE`",
}
"""What the first bytes say, the longer ones before those that they begin with."""
LOOKED_AT = 64
"""Bytes that are enough to tell."""


def other_content(data: bytes) -> str:
    """What a file is that begins with these bytes, and what to do; "" where it may be UTF-8."""
    for first, message in _OTHER_CONTENT.items():
        if data.startswith(first):
            return message
    first_bytes = data[:LOOKED_AT]
    if first_bytes.count(0) > len(first_bytes) // 3:
        return "looks like UTF-16 without a byte order mark; convert it to UTF-8 first"
    return ""
