# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
"""Files behind a URL, through fsspec: the only file of this room that speaks to it.

In: a URL (s3://bucket/folder, memory://..., file:///..., https://...). Out: its files in sorted order, and streams over them. S3
is read by Arrow's own client, which takes keys and endpoint from the environment as Amazon's tools do (AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL ...) and needs no further library. Keys inside a URL never reach a label, a receipt or a message.
"""

import contextlib
import importlib
import os
import re
from collections.abc import Generator
from typing import Any, BinaryIO, cast

from hanmo.base.errors import DataError, MissingExtraError

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
FOREIGN = ("aiohttp", "aiobotocore", "botocore", "gcsfs", "adlfs", "requests", "huggingface_hub")
"""Libraries whose errors are no OSErrors although they mean that a file cannot be read."""


def is_url(source: str) -> bool:
    """Whether a source is a URL rather than a path.

    >>> is_url("s3://bucket/texts"), is_url("texts/a.txt"), is_url("C:/texts")
    (True, False, False)
    """
    return bool(SCHEME.match(source))


def without_secrets(url: str) -> str:
    """A URL that may be shown: without user, password and query.

    >>> without_secrets("https://me:secret@host/a.txt?key=1")
    'https://host/a.txt'
    """
    return re.sub(r"(?<=://)[^/@]*@", "", url).split("?", 1)[0]


def list_url(url: str) -> list[tuple[str, str]]:
    """(URL, path below the source) of every file there; the path is empty where the URL is a file itself.

    Raises DataError when nothing is there or it cannot be listed.
    """
    shown = without_secrets(url)
    with _one_error(shown):
        system, root = _system(url)
        protocol = url[: url.index("://") + 3]
        if system.isfile(root):
            return [(url, "")]
        found = sorted(str(path) for path in system.find(root))
    if not found:
        raise DataError(f"the source {shown} does not exist or is empty: give a file or a folder behind a URL")
    base = root.rstrip("/") + "/"
    return [(protocol + path.removeprefix(protocol), path.removeprefix(base)) for path in found]


@contextlib.contextmanager
def open_url(url: str) -> Generator[BinaryIO]:
    """A seekable stream over a file.

    Raises OSError when it cannot be opened or read.
    """
    try:
        system, path = _system(url)
        with system.open(path, "rb") as stream:
            yield cast("BinaryIO", stream)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in FOREIGN:
            raise
        raise OSError(f"{type(error).__name__}: {error}") from error


def url_size(url: str) -> int:
    """Bytes of a file."""
    system, path = _system(url)
    return int(system.size(path) or 0)


@contextlib.contextmanager
def _one_error(shown: str) -> Generator[None]:
    try:
        yield
    except (DataError, MissingExtraError):
        raise
    except Exception as error:  # every file system has errors of its own
        words = " ".join(str(error).split())[:160]
        raise DataError(f"cannot list {shown}: {type(error).__name__}: {words}: see that it exists and that you may read it") from error


def _system(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the path in it."""
    try:
        fsspec: Any = importlib.import_module("fsspec")
    except ImportError:
        raise MissingExtraError("fsspec", "remote") from None
    if url.startswith("s3://"):
        return _s3(), re.sub(r"^[^/@]*@", "", url.removeprefix("s3://"))
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        library = error.name or str(error)
        raise MissingExtraError(library, "remote") from None
    except ValueError as error:
        raise DataError(f"cannot read {without_secrets(url)}: {error}: give a path, or a URL such as s3://bucket/folder") from None


def _s3() -> Any:
    import pyarrow.fs as arrow
    from fsspec.implementations.arrow import ArrowFSWrapper

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, _, place = endpoint.rpartition("://")
    settings: dict[str, Any] = {"endpoint_override": place.rstrip("/"), "scheme": scheme or "https"} if place else {}
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ("us-east-1" if place else ""):
        settings["region"] = region
    return ArrowFSWrapper(arrow.S3FileSystem(**settings))
