"""Find the numbers of an answer that should be annotated, by the prompt's rule: all but dates and ranks.

The rule (paper, appendix A): every occurrence of a statistical value is annotated; dates ("founded in 1760") and ranks ("10th
largest by area") are not. No pattern recognises every statistical value, so this errs on the side of silence: besides dates
and ranks it passes over ages, times, telephone and list numbers, footnotes, addresses, and parts of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from impls.rig.repair import CURRENCY

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_YEAR = r"(?:1\d|20|21)\d{2}"
SCALE = r"(?:%|per\s?cent\b|percent\b|thousand\b|million\b|billion\b|trillion\b)"
"""The words behind a number that make it a quantity, even where it looks like a year."""

_NOT_STATISTICS = (
    r"(?:https?://|www\.)\S{1,500}",
    r"^[ \t>]{0,20}(?:#{1,6}[ \t]+|[-*+][ \t]+|\*\*)?\(?\d{1,3}[.)](?=\s)",  # the number of a list item or a heading
    r"\[\d{1,3}\]",  # a footnote
    r"#\d+",
    rf"\b{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s{_YEAR}\b)?|\b{_MONTH},?\s{_YEAR}\b",
    rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s{_YEAR}\b)?",
    r"\b\d{4}-\d{2}(?:-\d{2})?\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b",
    r"\b\d{1,2}:\d{2}\b|\b\d{1,2}\s?[ap]\.?m\b",
    rf"\b{_YEAR}\s?[-\u2013/]\s?(?:{_YEAR}|\d{{2}})\b",
    r"\b(?:\d{2})?\d0s\b",
    rf"\b{_YEAR}\b(?![.,]\d)(?!\s?{SCALE})",
    r"\b\d{1,3}(?:,?\d{3}){0,3}(?:st|nd|rd|th)\b",
    r"\b(?:no\.|number|top|bottom|rank(?:ed|s|ing)?(?:\s(?:at|as))?|place[ds]?|tables?|figures?|chapters?|sections?|steps?|parts?"
    r"|versions?|articles?|phases?|grades?|types?|levels?|pages?|goals?|(?:inter)?states?|routes?|highways?|aged?|ages)"
    r"\s#?\d+(?:\.\d+)*(?:\s?(?:-|\u2013|to|and|or)\s?\d+)?\b",
    r"\b\d{1,3}(?:\s?[-\u2013]\s?\d{1,3})?[-\s]years?[-\s]olds?\b",
    r"\b\d[DG]\b|\b(?:24/7|9/11)\b",
    r"\b\d{3}[-.]\d{3}[-.]\d{4}\b|\bzip(?:\scode)?\s\d{5}\b",
    rf"\b{_YEAR}\s?[QH][1-4]\b",
    r"\b\d{1,3}\s(?:largest|biggest|smallest|highest|lowest|most|least|best|worst|richest|poorest|leading)\b",
)
_NO_NAME = r"(?<!\w)(?<![^\W\d_][-\u2010/])(?<!\d[.,])"
"""Not part of a name: COVID-19, G20, A4; nor the end of a number that was passed over."""

_DIGIT = re.compile(r"\d")
_NUMBER = rf"[{re.escape(CURRENCY)}]?\d+(?:,\d{{3}})*(?:\.\d+)?"
_BEGINS = (
    rf"(?=[\d{re.escape(CURRENCY)}\[#]|^[ \t>*+(\-]|https?://|www\.|(?<!\w)(?:jan|feb|mar|apr|may|ju[nl]|aug|sep|oct|nov|dec"
    r"|no\.|num|top|bot|rank|plac|tab|fig|cha|sec|ste|par|ver|art|pha|gra|typ|lev|pag|goa|int|sta|rou|hig|age|zip))"
)
"""How any token begins: at most places none does, and the patterns need not be tried."""
_TOKEN = re.compile(
    rf"{_BEGINS}(?:(?P<other>{'|'.join(_NOT_STATISTICS)})"
    rf"|(?P<number>\b1\sin\s(?:every\s)?\d{{1,3}}\b|\b\d+\sout\sof\s(?:every\s)?\d+\b"
    rf"|{_NO_NAME}{_NUMBER}(?:\s?[-\u2013]\s?{_NUMBER})?(?:\s?{SCALE})?))",
    re.IGNORECASE | re.MULTILINE,
)


def numbers(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The spans of the statistical values in a part of the text, as far as patterns recognise them."""
    if not _DIGIT.search(text, start, end):
        return
    for token in _TOKEN.finditer(text, start, end):
        if token.lastgroup == "number":
            yield token.span()
