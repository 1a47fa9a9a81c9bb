"""Tables that turn numbers and names in titles into catalogue numbers."""

import re

BEETHOVEN_SONATAS = (
    *("op2-no1", "op2-no2", "op2-no3", "op7", "op10-no1", "op10-no2", "op10-no3", "op13", "op14-no1", "op14-no2"),
    *("op22", "op26", "op27-no1", "op27-no2", "op28", "op31-no1", "op31-no2", "op31-no3", "op49-no1", "op49-no2"),
    *("op53", "op54", "op57", "op78", "op79", "op81", "op90", "op101", "op106", "op109", "op110", "op111"),
)
"""Piano sonatas 1-32 (op. 81a is op81: letters after an opus are left out everywhere)."""

MOZART_SONATAS = (
    *("k279", "k280", "k281", "k282", "k283", "k284", "k309", "k310", "k311"),
    *("k330", "k331", "k332", "k333", "k457", "k533", "k545", "k570", "k576"),
)
"""Piano sonatas 1-18 as they are counted today (the old complete edition counts differently from 15 on)."""

MOZART_SIXTH = {
    "189d": "279",
    "189e": "280",
    "189f": "281",
    "189g": "282",
    "189h": "283",
    "205b": "284",
    "284b": "309",
    "300d": "310",
    "284c": "311",
    "300h": "330",
    "300i": "331",
    "300k": "332",
    "315c": "333",
}
"""Numbers of Koechel's sixth edition -> of the first, for the piano sonatas."""

BY_NUMBER = {
    "chopin": {
        "ballade": {1: "op23", 2: "op38", 3: "op47", 4: "op52"},
        "scherzo": {1: "op20", 2: "op31", 3: "op39", 4: "op54"},
        "sonata": {1: "op4", 2: "op35", 3: "op58"},
        "impromptu": {1: "op29", 2: "op36", 3: "op51", 4: "op66"},
        "prelude": {n: f"op28-no{n}" for n in range(1, 25)},
        "nocturne": {
            1: "op9-no1",
            2: "op9-no2",
            3: "op9-no3",
            4: "op15-no1",
            5: "op15-no2",
            6: "op15-no3",
            7: "op27-no1",
            8: "op27-no2",
            9: "op32-no1",
            10: "op32-no2",
            11: "op37-no1",
            12: "op37-no2",
            13: "op48-no1",
            14: "op48-no2",
            15: "op55-no1",
            16: "op55-no2",
            17: "op62-no1",
            18: "op62-no2",
            19: "op72",
        },
        "waltz": {
            1: "op18",
            2: "op34-no1",
            3: "op34-no2",
            4: "op34-no3",
            5: "op42",
            6: "op64-no1",
            7: "op64-no2",
            8: "op64-no3",
            9: "op69-no1",
            10: "op69-no2",
            11: "op70-no1",
            12: "op70-no2",
            13: "op70-no3",
        },
        "concerto": {1: "op11", 2: "op21"},
    },
    "beethoven": {"violin sonata": {5: "op24", 9: "op47"}},
    "scriabin": {
        "sonata": dict(
            enumerate(("op6", "op19", "op23", "op30", "op53", "op62", "op64", "op66", "op68", "op70"), start=1)
        )
    },
    "prokofiev": {
        "sonata": dict(enumerate(("op1", "op14", "op28", "op29", "op38", "op82", "op83", "op84", "op103"), start=1))
    },
    "rachmaninoff": {"sonata": {1: "op28", 2: "op36"}},
    "brahms": {"sonata": {1: "op1", 2: "op2", 3: "op5"}, "rhapsody": {1: "op79-no1", 2: "op79-no2"}},
    "schubert": {"mom": {n: f"d780-no{n}" for n in range(1, 7)}},
    "liszt": {
        "ballade": {1: "s170", 2: "s171"},
        "hungarian rhapsody": {n: f"s244-no{n}" for n in range(1, 20)},
        "transcendental": {n: f"s139-no{n}" for n in range(1, 13)},
        "mephisto": {1: "s514", 2: "s515", 3: "s216", 4: "s696"},
        "consolation": {n: f"s172-no{n}" for n in range(1, 7)},
        "liebestr": {n: f"s541-no{n}" for n in range(1, 4)},
    },
    "debussy": {"pour le piano": {n: f"l95-no{n}" for n in range(1, 4)}},
    "schumann": {"kreisleriana": {n: f"op16-no{n}" for n in range(1, 9)}, "sonata": {1: "op11", 2: "op22", 3: "op14"}},
}
"""composer -> word of the title -> number in the title -> catalogue number."""

_NAMES = {
    "bach": {"italian concerto": "bwv971", "goldberg": "bwv988", "chromatic fantas": "bwv903"},
    "balakirev": {"islamey": "op18"},
    "beethoven": {
        "pathetique": "op13",
        "moonlight": "op27-no2",
        "mondschein": "op27-no2",
        "tempest": "op31-no2",
        "waldstein": "op53",
        "appassionata": "op57",
        "les adieux": "op81",
        "hammerklavier": "op106",
        "fur elise": "woo59",
        "diabelli": "op120",
        "eroica variations": "op35",
        "pastoral sonata": "op28",
    },
    "chopin": {
        "fantaisie-impromptu": "op66",
        "fantasie-impromptu": "op66",
        "polonaise-fantaisie": "op61",
        "barcarolle": "op60",
        "berceuse": "op57",
        "bolero": "op19",
        "tarantelle": "op43",
        "revolutionary": "op10-no12",
    },
    "debussy": {"reflets dans l": "l110-no1", "clair de lune": "l75-no3", "suite bergamasque": "l75"},
    "liszt": {
        "gondoliera": "s162-no1",
        "campanella": "s141-no3",
        "mephisto waltz": "s514",
        "sonata in b minor": "s178",
        "paganini/6": "s141-no6",
        "paganini 6": "s141-no6",
        "gnomenreigen": "s145-no2",
        "waldesrauschen": "s145-no1",
        "un sospiro": "s144-no3",
        "vallee d'obermann": "s160-no6",
        "apres une lecture": "s161-no7",
    },
    "mozart": {"turkish march": "k331", "rondo alla turca": "k331"},
    "mussorgsky": {"pictures at an exhibition": "pictures-at-an-exhibition"},
    "prokofiev": {"toccata": "op11"},
    "ravel": {
        "ondine": "gaspard-de-la-nuit-1",
        "le gibet": "gaspard-de-la-nuit-2",
        "scarbo": "gaspard-de-la-nuit-3",
        "noctuelles": "miroirs-1",
        "oiseaux tristes": "miroirs-2",
        "une barque": "miroirs-3",
        "alborada": "miroirs-4",
        "vallee des cloches": "miroirs-5",
        "pavane": "pavane",
        "jeux d": "jeux-deau",
    },
    "schubert": {"wanderer fantas": "d760", "wanderer-fantas": "d760"},
    "schumann": {
        "arabesk": "op18",
        "arabesque": "op18",
        "toccata": "op7",
        "carnaval": "op9",
        "papillons": "op2",
        "dichterliebe": "op48",
        "kreisleriana": "op16",
        "kinderszenen": "op15",
        "davidsbund": "op6",
        "frauenliebe": "op42",
        "waldszenen": "op82",
    },
    "joplin": {"maple leaf": "maple-leaf-rag", "entertainer": "entertainer"},
}
NAMES = {composer: tuple(names.items()) for composer, names in _NAMES.items()}
"""composer -> (part of the title in lower case without accents, catalogue number)."""

SAME = {
    "schubert": {"op90": "d899", "op142": "d935", "op94": "d780", "op120": "d664", "op15": "d760", "op78": "d894"}
    | {"op25": "d795", "op89": "d911", "op53": "d850", "op42": "d845", "op143": "d784"},
    # editions number the mazurkas of op. 6 and op. 7 across both
    "chopin": {"op6": "op6-7", "op7": "op6-7"},
}
"""composer -> catalogue number (without its number inside) -> the one that is used here."""

_CHOPIN_WHOLE = (1, 2, 3, 4, 5, 8, 11, 12, 13, 14, 16, 18, 19, 20, 21, 22, 23, 29, 31, 35, 36, 38, 39, 41, 42, 43)
WHOLE = {
    # op. 41 and 72: the editions disagree on the order of the pieces
    "chopin": frozenset(
        f"op{n}" for n in (*_CHOPIN_WHOLE, 44, 45, 46, 47, 49, 51, 52, 53, 54, 57, 58, 60, 61, 65, 66, 72, 73, "6-7")
    ),
    "beethoven": frozenset(name for name in BEETHOVEN_SONATAS if "-no" not in name),
}
"""composer -> opus numbers that are one work here: a number after them is a movement or differs by edition."""

SETS = {"chopin": ("op10", "op25", "op28"), "rachmaninoff": ("op23", "op32", "op33", "op39"), "scriabin": ("op8",)}
"""composer -> opus numbers where a number before the opus ("Etude No. 4, op. 10") counts inside the opus."""

_TONICS = ("c", "c-sharp", "d", "e-flat", "e", "f", "f-sharp", "g", "a-flat", "a", "b-flat", "b")
_ENHARMONIC = {"d-flat": "c-sharp", "d-sharp": "e-flat", "g-flat": "f-sharp", "g-sharp": "a-flat", "a-sharp": "b-flat"}
_KEY = re.compile(r"\b(?:in )?([a-g])[ -]?(sharp|flat)?[ -]?(major|minor)\b")
_BOOK = re.compile(r"\b(?:wtc|well[- ]tempered|wohltemperi).*?\b(ii|i|2|1)\b")


def wtc(title: str) -> str | None:
    """BWV number of a prelude and fugue named by book and key; None where the title does not name both.

    >>> wtc("prelude and fugue in b-flat minor, wtc i")
    'bwv867'
    """
    book, key = _BOOK.search(title), _KEY.search(title)
    if book is None or key is None:
        return None
    tonic = f"{key[1]}-{key[2]}" if key[2] else key[1]
    at = _TONICS.index(_ENHARMONIC.get(tonic, tonic)) if _ENHARMONIC.get(tonic, tonic) in _TONICS else None
    if at is None:
        return None
    return f"bwv{(846 if book[1] in ('i', '1') else 870) + 2 * at + (key[3] == 'minor')}"
