"""Which group a document belongs to: its source, its language, its web domain, or what a kept column says.

In: what is known of a document. Out: the group's name, the same on every machine. Mixing weighs groups, splits keep them together.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from hanmo.base.errors import ConfigError

UNKNOWN = "unknown"
BUILT_IN = ("source", "language", "domain")


def check_grouping(key: str, by: str, keep_columns: Sequence[str]) -> None:
    """Raise ConfigError when nothing tells the groups that setting `key` asks for."""
    if by == "domain" and not {"domain", "url"} & set(keep_columns):
        raise ConfigError(f'{key} (="domain") needs the column url or domain: add it to read.keep_columns')
    if by and by not in (*BUILT_IN, *keep_columns):
        raise ConfigError(f"{key} (={by!r}) should be one of {', '.join(BUILT_IN)}, or a column named in read.keep_columns")


def group_of(by: str, source: str, language: str, metadata: Mapping[str, str]) -> str:
    """The name of a document's group; "unknown" when it does not say.

    >>> group_of("domain", "web", "en", {"url": "https://news.example.org/a"})
    'news.example.org'
    """
    if by == "source":
        name = source
    elif by == "language":
        name = language
    elif by == "domain" and "domain" not in metadata:
        name = host(metadata.get("url", ""))
    else:
        name = metadata.get(by, "")
    return name or UNKNOWN


def host(url: str) -> str:
    """The host of a URL in lower case without "www."; empty when it has none.

    >>> host("http://WWW.Example.org:80/x"), host("no address")
    ('example.org', '')
    """
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def source_of(label: str, names: Sequence[str]) -> str:
    """The named source that a file's label begins with; the longest such name.

    >>> source_of("books/old/a.txt#3", ["books", "books/old", "bo"])
    'books/old'
    """
    return max((name for name in names if label == name or label.startswith((f"{name}/", f"{name}#"))), key=len, default=label)
