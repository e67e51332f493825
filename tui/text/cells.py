"""Texts in the cells of a terminal, where some letters take two: cutting and filling. Pure."""

from rich.cells import cell_len

from tui.text.naming import split


def cut_start(text: str, width: int) -> str:
    """The end of a text, in at most `width` cells of a terminal: …/analytics.db, and web1:…/analytics.db."""
    host = _host(text, width)
    return host + _cut(text[len(host) :][::-1], width - cell_len(host))[::-1]


def cut_path(path: str, width: int) -> str:
    """The end of a path, cut before a folder's name if that fits: …/data/app.db."""
    if cell_len(path) <= width:
        return path
    host = _host(path, width)
    parts = path[len(host) :].split("/")
    for first in range(1, len(parts)):
        short = host + "/".join(["…", *parts[first:]])
        if cell_len(short) <= width:
            return short
    return cut_start(path, width)


def cut_end(text: str, width: int) -> str:
    """The start of a text, in at most `width` cells of a terminal."""
    return _cut(text, width)


def fit(text: str, width: int) -> str:
    """The start of a text in exactly `width` cells."""
    text = _cut(text, width)
    return text + " " * (width - cell_len(text))


def fit_start(text: str, width: int) -> str:
    """The end of a text in exactly `width` cells, where its end says more, as with paths."""
    text = cut_start(text, width)
    return text + " " * (width - cell_len(text))


def _host(text: str, width: int) -> str:
    """The name of the host that a path begins with, and its colon: what tells it from others. "" if it takes half."""
    host, _ = split(text)
    return f"{host}:" if host and cell_len(host) < width // 2 else ""


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > max(0, width - 1):
        text = text[:-1]
    return text + "…" if width > 0 else ""
