"""Addresses: which are taken, what they are called, and that no secret is ever written."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.errors import UsageError
from lipsync_eval.results import paths
from lipsync_eval.urls import Url, is_url, place, without_secrets


def test_what_an_address_is_called() -> None:
    url = Url.parse("https://me:pass@host:81/a%20b/c.d.MP4?sig=1#x")
    assert str(url) == repr(url) == f"{url}" == "https://host:81/a%20b/c.d.MP4"
    assert (url.path, url.name, url.stem, url.suffix) == ("a b/c.d.MP4", "c.d.MP4", "c.d", ".MP4")
    assert url.address == "https://me:pass@host:81/a%20b/c.d.MP4?sig=1"
    key = Url.parse("S3://bucket/what?/a%20b.mp4")
    assert str(key) == "s3://bucket/what?/a%20b.mp4" and key.stem == "a%20b"
    assert Url.parse("s3://bucket").name == "bucket" and Url.parse("https://h/x/").name == "x"
    assert Url.parse("https://h/x y.mp4").address == "https://h/x%20y.mp4"
    assert Url.parse("https://h/gen/").below("a b/ü.mp4").address == "https://h/gen/a%20b/%C3%BC.mp4"
    assert Url.parse("gs://b/gen").below("a b.mp4").address == "gs://b/gen/a b.mp4"
    with pytest.raises(UsageError, match="write them in full"):
        Url.parse("https://h/gen?sig=1").below("a.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd", "memory://x", "ftp://h/a.mp4", "zip://a::https://h/b", "simplecache::https://h/a.mp4",
        "https://", "s3:///", "https://h/a\nb.mp4", "https://h/../a.mp4", "https://h/%2e%2e/a.mp4", "s3://b/x/../y.mp4",
        "https://h/" + "a" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    if not is_url(text):
        assert place(text) == Path(text), "a path, which is not there"
        return
    with pytest.raises(UsageError) as error:
        place(text)
    assert len(str(error.value)) < 500


def test_paths_stay_paths() -> None:
    assert place("a/b.mp4") == Path("a/b.mp4") and place(Path("x")) == Path("x") and not is_url("C:/x")
    url = "s3://b/a.mp4"
    assert paths.absolute(url) == paths.from_folder(url, Path("/x")) == paths.to_absolute(url, Path("/x")) == url


WORD = st.text(string.ascii_letters + string.digits, min_size=6, max_size=12)


@given(user=WORD, secret=WORD, query=WORD, name=WORD, scheme=st.sampled_from(["https", "http", "s3", "gs", "ftp"]))
@settings(deadline=None, max_examples=100)
def test_no_secret_is_written(user: str, secret: str, query: str, name: str, scheme: str) -> None:
    user, secret, query = f"U-{user}", f"P-{secret}", f"Q-{query}"
    text = f"{scheme}://{user}:{secret}@host/{name}.mp4" + (f"?X-Amz-Signature={query}" if scheme[0] != "s" else "")
    shown = [without_secrets(f"403, message='no', url='{text}'"), without_secrets(f"a {text} b {text}")]
    if scheme == "ftp":
        with pytest.raises(UsageError) as error:
            Url.parse(text)
        shown.append(str(error.value))
    else:
        shown += [str(Url.parse(text)), repr(Url.parse(text))]
    for found in shown:
        assert f"{scheme}://host/{name}.mp4" in found
        assert not any(word in found for word in (user, secret) + ((query,) if scheme not in ("gs",) else ()))
