"""Archives made in the test."""

import io
import zipfile
from collections.abc import Mapping


def package(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive of these members in their order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()
