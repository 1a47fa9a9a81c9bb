"""Single works of many composers in the music21 corpus, in a table: few per style, good for variety, not
for tests.

Left out: the voices of Josquin, which lie in ABC as tunes of their own, without bar lines or a score, and one
lead sheet whose encoding is "All Rights Reserved". Fragments made for tests are in `music21_demos`.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._item import FORMATS, Corpus, Item

# (path, work, style, composer, title)
_WORKS = (
    ("bach/bwv846.mxl", "bach/bwv846", "baroque keyboard", "Johann Sebastian Bach", "Prelude in C, BWV 846"),
    (
        "beach/prayer_of_a_tired_child.musicxml",
        "beach-amy/op75-no4",
        "romantic song",
        "Amy Beach",
        "Prayer of a Tired Child",
    ),
    ("chopin/mazurka06-2.krn", "chopin/op6-7", "romantic piano", "Frederic Chopin", "Mazurka op. 6 no. 2"),
    ("ciconia/quod_jactatur.xml", "ciconia/quod-jactatur", "trecento", "Johannes Ciconia", "Quod jactatur"),
    (
        "corelli/opus3no1/1grave.xml",
        "corelli/op3-no1",
        "baroque",
        "Arcangelo Corelli",
        "Trio Sonata op. 3 no. 1, Grave",
    ),
    (
        "cpebach/h186.mxl",
        "bach-cpe/h186",
        "classical piano",
        "Carl Philipp Emanuel Bach",
        "Sonata H. 186, Poco adagio",
    ),
    (
        "handel/rinaldo/Lascia_chio_pianga.mxl",
        "handel/rinaldo",
        "baroque",
        "George Frideric Handel",
        "Rinaldo: Lascia ch'io pianga",
    ),
    (
        "johnson_j_r/lift_every_voice.mxl",
        "johnson/lift-every-voice",
        "popular song",
        "J. Rosamond Johnson",
        "Lift Every Voice and Sing",
    ),
    ("joplin/maple_leaf_rag.mxl", "joplin/maple-leaf-rag", "ragtime", "Scott Joplin", "Maple Leaf Rag"),
    (
        "leadSheet/fosterBrownHair.mxl",
        "tune/jeanie-with-the-light-brown-hair",
        "popular song",
        "Stephen Foster",
        "Jeanie With the Light Brown Hair",
    ),
    ("liliuokalani/aloha_oe.mxl", "liliuokalani-queen/aloha-oe", "popular song", "Liliuokalani", "Aloha Oe"),
    ("luca/gloria.xml", "luca/gloria-q15", "trecento", "D. Luca", "Gloria, Q15"),
    (
        "lusitano/allor_che_ignuda.mxl",
        "lusitano/allor-che-ignuda",
        "renaissance",
        "Vicente Lusitano",
        "Allor che ignuda",
    ),
    (
        "mozart/k545/movement1_exposition.mxl",
        "mozart/k545",
        "classical piano",
        "Wolfgang Amadeus Mozart",
        "Sonata K. 545, movement 1, exposition",
    ),
    (
        "schoenberg/opus19/movement2.mxl",
        "schoenberg/op19",
        "modern piano",
        "Arnold Schoenberg",
        "Piano Piece op. 19 no. 2",
    ),
    (
        "schoenberg/opus19/movement6.mxl",
        "schoenberg/op19",
        "modern piano",
        "Arnold Schoenberg",
        "Piano Piece op. 19 no. 6",
    ),
    ("schubert/Lindenbaum.xml", "schubert/d911-no5", "romantic song", "Franz Schubert", "Der Lindenbaum"),
    (
        "schumann_clara/opus17/movement3.xml",
        "schumann-clara/op17",
        "romantic",
        "Clara Schumann",
        "Piano Trio op. 17, 3",
    ),
    (
        "schumann_clara/polonaise_op1n1.mxl",
        "schumann-clara/op1",
        "romantic piano",
        "Clara Schumann",
        "Polonaise op. 1 no. 1",
    ),
    (
        "schumann_clara/polonaise_op1n2.mxl",
        "schumann-clara/op1",
        "romantic piano",
        "Clara Schumann",
        "Polonaise op. 1 no. 2",
    ),
    (
        "schumann_clara/polonaise_op1n3.mxl",
        "schumann-clara/op1",
        "romantic piano",
        "Clara Schumann",
        "Polonaise op. 1 no. 3",
    ),
    (
        "schumann_clara/polonaise_op1n4.mxl",
        "schumann-clara/op1",
        "romantic piano",
        "Clara Schumann",
        "Polonaise op. 1 no. 4",
    ),
    (
        "schumann_robert/opus41no1/movement1.mxl",
        "schumann/op41-no1",
        "romantic",
        "Robert Schumann",
        "Quartet op. 41, 1",
    ),
    (
        "schumann_robert/opus41no1/movement2.mxl",
        "schumann/op41-no1",
        "romantic",
        "Robert Schumann",
        "Quartet op. 41, 2",
    ),
    (
        "schumann_robert/opus41no1/movement3.mxl",
        "schumann/op41-no1",
        "romantic",
        "Robert Schumann",
        "Quartet op. 41, 3",
    ),
    (
        "schumann_robert/opus41no1/movement4.mxl",
        "schumann/op41-no1",
        "romantic",
        "Robert Schumann",
        "Quartet op. 41, 4",
    ),
    (
        "schumann_robert/opus41no1/movement5.mxl",
        "schumann/op41-no1",
        "romantic",
        "Robert Schumann",
        "Quartet op. 41, 5",
    ),
    ("schumann_robert/opus48no2.mxl", "schumann/op48-no2", "romantic song", "Robert Schumann", "Dichterliebe no. 2"),
    (
        "schumann_robert/dichterliebe_no2.xml",
        "schumann/op48-no2",
        "romantic song",
        "Robert Schumann",
        "Dichterliebe no. 2 (another encoding)",
    ),
    ("verdi/laDonnaEMobile.mxl", "verdi/rigoletto", "romantic", "Giuseppe Verdi", "La donna e mobile"),
    (
        "weber/concertino_clarinet.mxl",
        "weber/op26",
        "romantic",
        "Carl Maria von Weber",
        "Clarinet Concertino op. 26",
    ),
    (
        "webern/webern_dormi_jesu_op_16_no_2.mxl",
        "webern/op16",
        "modern",
        "Anton Webern",
        "Dormi Jesu op. 16 no. 2",
    ),
)


def _items(root: Path) -> Iterator[Item]:
    for name, work, style, composer, title in _WORKS:
        path = root / name
        if path.is_file():
            yield Item(
                id=name,
                path=path,
                format=FORMATS[path.suffix],
                work=work,
                style=style,
                composer=composer,
                title=title,
            )


CORPUS = Corpus(
    name="music21_misc",
    title="Single works from Ciconia to Webern",
    citation="Encoders are named in the files. " + _music21.CITATION,
    licence=(
        "Differs by file, see its rights element: Ciconia, Luca and Webern CC BY-SA, Corelli CC BY, Johnson, "
        "Liliuokalani and Lusitano CC0, Weber and Foster public domain. " + _music21.LICENCE
    ),
    source=_music21.SOURCE,
    styles=tuple(dict.fromkeys(style for _, _, style, _, _ in _WORKS)),
    find=_music21.folder(holds=tuple(name for name, *_ in _WORKS)),
    items=_items,
)
