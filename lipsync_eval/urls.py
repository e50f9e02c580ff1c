"""Videos named by URL: which addresses are taken, what they are called, and how they are written without secrets.

An address may hold a password (`https://user:password@host/...`) or a signature (`...?X-Amz-Signature=...`). Whoever
writes or prints an address takes `str(url)`, which has neither. Only `media/fetch.py` uses `Url.address`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from lipsync_eval.errors import UsageError

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_IN_TEXT: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_LEGAL: Final = "%/:=&?~+!$,;'@()*[]"
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a kind of address needs."""

    package: str
    """Python package that fsspec needs for it; '' for none."""
    install: str
    lists: bool
    """Whether a folder of it can be listed."""
    web: bool = False
    """Whether names are percent-encoded, and what follows '?' is no part of them."""


SCHEMES: dict[str, Scheme] = {
    "s3": Scheme("s3fs", "pip install s3fs", lists=True),
    "gs": Scheme("gcsfs", "pip install gcsfs", lists=True),
    "https": Scheme("aiohttp", "pip install 'lipsync-eval[url]'", lists=False, web=True),
    "http": Scheme("aiohttp", "pip install 'lipsync-eval[url]'", lists=False, web=True),
}
"""The addresses that are taken. No other: fsspec itself would also open archives, other caches and programs."""


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """An address of a video, an audio file or a folder of them; printed without secrets."""

    address: str
    """As given, secrets included; characters that no address may hold are percent-encoded."""
    size: int | None = field(default=None, compare=False)
    """Bytes, where the server told."""
    mark: str = field(default="", compare=False)
    """Changes when the content does (ETag, time of change), where the server told."""

    @classmethod
    def parse(cls, text: str) -> Url:
        """The address that a text is.

        Raises:
            UsageError: another scheme than those of SCHEMES, no host or bucket, or characters that no address holds.
        """
        scheme = text.partition("://")[0].lower()
        if scheme not in SCHEMES:
            known = ", ".join(f"{name}://" for name in SCHEMES)
            raise UsageError(f"{without_secrets(text)}: addresses of the kind {scheme}:// are not read; known: {known}")
        rest = text.partition("://")[2]
        if not rest.strip("/") or len(text) > _LONGEST or any(ord(c) < 32 or c == "\x7f" for c in text):
            raise UsageError(f"{without_secrets(text)[:200]!r} is no address of a file or folder")
        if SCHEMES[scheme].web:
            rest = quote(rest.partition("#")[0], safe=_LEGAL)
        found = cls(f"{scheme}://{rest}")
        if os.pardir in found.path.split("/"):
            raise UsageError(f"{found}: holds '..'; write the address of the file itself")
        return found

    def __str__(self) -> str:
        """Without user, password, and (of a web address) what follows '?'."""
        host, slash, path = self._parts()
        return f"{self.scheme}://{host.rpartition('@')[2]}{slash}{path}"

    __repr__ = __str__

    @property
    def scheme(self) -> str:
        """'s3', 'https'..."""
        return self.address.partition("://")[0]

    @property
    def path(self) -> str:
        """What follows the host or bucket, as names are read: 'gen/a b.mp4'."""
        path = self._parts()[2]
        return unquote(path) if SCHEMES[self.scheme].web else path

    @property
    def name(self) -> str:
        """The last part: 'a b.mp4'; of a bucket or host alone its own name."""
        return self.path.rstrip("/").rpartition("/")[2] or str(self).rpartition("://")[2].strip("/")

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """'.mp4', or ''."""
        return PurePosixPath(self.path).suffix

    @property
    def parent(self) -> Url:
        """The folder that the file is in."""
        return Url(self.address.partition("?")[0].rstrip("/").rpartition("/")[0])

    def below(self, name: str) -> Url:
        """The address of a file in this folder; `name` is its relative path, as names are read.

        Raises:
            UsageError: the folder's address has a query, so that no file's can be made of it.
        """
        if SCHEMES[self.scheme].web and "?" in self.address:
            raise UsageError(f"{self}: a folder's address with a query gives no addresses of files; write them in full")
        return Url(f"{self.address.rstrip('/')}/{quote(name) if SCHEMES[self.scheme].web else name}")

    def _parts(self) -> tuple[str, str, str]:
        rest = self.address.partition("://")[2]
        return rest.partition("?")[0].partition("/") if SCHEMES[self.scheme].web else rest.partition("/")


Place = Path | Url
"""Where a video is."""


def is_url(text: str) -> bool:
    """Whether a text is an address and no path: it begins with a scheme and '://'."""
    return _URL.match(text) is not None


def place(text: str | Place) -> Place:
    """A path, or an address where the text begins with a scheme.

    Raises:
        UsageError: an address that is not taken.
    """
    return Url.parse(text) if isinstance(text, str) and is_url(text) else Path(text) if isinstance(text, str) else text


def without_secrets(text: str) -> str:
    """The text with every address in it shortened to what may be written: no user, password or query."""

    def shown(found: re.Match[str]) -> str:
        try:
            parts = urlsplit(found.group())
        except ValueError:
            return f"{found.group().partition('://')[0]}://..."
        keep = parts.scheme.lower() in SCHEMES and not SCHEMES[parts.scheme.lower()].web  # a key may hold '?' and '#'
        path = found.group().partition("://")[2].partition("/")[2] if keep else parts.path.lstrip("/")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{'/' if path else ''}{path}"

    return _IN_TEXT.sub(shown, text)
