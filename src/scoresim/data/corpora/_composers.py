"""One key per composer, however a source writes the name.

Names of families with several composers keep a given name ("schumann-clara"); the one that a bare surname
means has the bare surname as its key ("schumann"). A composer who is in no table has the surname and the
first given name, so "Beach, Amy" and "Amy Marcy Beach" are one.
"""

import re

from scoresim.data.corpora._item import slug

_KNOWN = (
    "albeniz balakirev bartok beethoven bizet borodin brahms busoni chopin clementi corelli czerny debussy dvorak "
    "faure foster franck glinka granados grieg handel hummel janacek joplin kreisler liszt mahler medtner monteverdi "
    "mussorgsky palestrina prokofiev purcell rachmaninoff rameau ravel rossini satie schoenberg schubert scriabin "
    "shostakovich sibelius smetana soler stravinsky tchaikovsky telemann verdi vivaldi wagner weber webern wolf"
)
# surname -> beginnings of the given names (as slugs) under which the bare surname is the key; "" stands for any.
# A surname of several composers lists its one; the others keep their given name.
_ALONE: dict[str, tuple[str, ...]] = {
    "bach": ("johann-sebastian", "j-s", "js"),
    "haydn": ("joseph", "franz-joseph", "franz", "j"),
    "mozart": ("wolfgang", "w-a", "wa"),
    "schumann": ("robert", "r"),
    "mendelssohn": ("felix", "f"),
    "scarlatti": ("domenico", "d", "giuseppe-domenico"),
    "couperin": ("francois", "f"),
    **dict.fromkeys(_KNOWN.split(), ("",)),
}
_SPELLINGS = {
    "rachmaninov": "rachmaninoff",
    "rakhmaninov": "rachmaninoff",
    "skryabin": "scriabin",
    "skrjabin": "scriabin",
    "prokofieff": "prokofiev",
    "tchaikowsky": "tchaikovsky",
    "chaikovsky": "tchaikovsky",
    "chaykovsky": "tchaikovsky",
    "moussorgsky": "mussorgsky",
    "musorgsky": "mussorgsky",
    "haendel": "handel",
    "schonberg": "schoenberg",
    "arcadelt-jacques": "arcadelt-jacob",
    "mendelssohn-bartholdy": "mendelssohn",
    "mendelssohn-fanny": "hensel-fanny",
    "mendelssohn-hensel-fanny": "hensel-fanny",
    "wieck-clara": "schumann-clara",
    "bach-carl": "bach-cpe",
    "bach-c": "bach-cpe",
    "anonim": "anonymous",
    "anon": "anonymous",
    "traditional": "traditional",
}
_PARTICLES = frozenset({"van", "von", "de", "da", "di", "del", "della", "du", "der", "den", "zu"})


def composer_key(name: str) -> str:
    """Key of a composer: lower-case letters, digits and hyphens.

    Args:
        name: "Surname, Given", "Given Surname" or "Surname"; of several ("Bach / Busoni") the first counts.

    >>> composer_key("Ludwig van Beethoven"), composer_key("Schumann, Clara"), composer_key("J.S. Bach")
    ('beethoven', 'schumann-clara', 'bach')
    """
    first = re.split(r"\s*[/;&|]\s*", re.sub(r"[(\[].*?[)\]]", " ", name).strip())[0]
    surname, comma, given = first.partition(",")
    if not comma:
        words = first.replace(".", ". ").split()
        surname, given = (words[-1], " ".join(words[:-1])) if words else ("", "")
    family = _words(surname)
    givens = _words(given)
    if not family:
        return "unknown"
    key = "-".join(family)
    key = _SPELLINGS.get(key, key)
    joined = "-".join(givens)
    if not givens or any(_begins(joined, start) for start in _ALONE.get(key, ())):
        return key
    key = f"{key}-{givens[0]}"
    return _SPELLINGS.get(key, key)


def _words(name: str) -> list[str]:
    words = [word for word in slug(name).split("-") if word] if re.search(r"\w", name) else []
    kept = [word for word in words if word not in _PARTICLES]
    return kept if kept != ["untitled"] else []


def _begins(given: str, start: str) -> bool:
    return not start or given == start or given.startswith(start + "-")
