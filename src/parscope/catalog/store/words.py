"""Words of texts, as the full-text search knows them."""

from __future__ import annotations

import re
from unicodedata import normalize

LONGEST_WORD = 128
"""Letters by which words are told apart."""

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Words of a text: runs of letters and digits, without case, however their accents are composed.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        In their order, each cut to `LONGEST_WORD` letters.

    Examples
    --------
    >>> words("Domain_Wall, 90° (Zürich)")
    ['domain', 'wall', '90', 'zürich']
    """
    if not text.isascii():
        text = normalize("NFC", normalize("NFC", text).casefold())
    return [word[:LONGEST_WORD] for word in _WORD.findall(text.casefold())]
