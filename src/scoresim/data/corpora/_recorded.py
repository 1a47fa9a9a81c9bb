"""Names for recordings that no catalogue lists."""

import hashlib

from scoresim.data.corpora._item import slug


def named(text: str) -> str:
    """A work's second half from an identifier whose case and signs count (a video's, a file's).

    Six digits of the hash keep names apart that differ in what `slug` drops.
    """
    name = slug(text)
    return name if name == text else f"{name}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"
