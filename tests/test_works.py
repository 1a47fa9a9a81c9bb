"""Names of works: labelled titles of our own, and what must hold for any text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._works import tune, work

NAME = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")

TITLES = [
    ("Johann Sebastian Bach", "Prelude and Fugue in C Major, WTC I, BWV 846", "bach/bwv846"),
    ("Bach, Johann Sebastian", "Das wohltemperierte Klavier I, BWV 846-869: Prelude", "bach/bwv846"),
    ("J.S. Bach", "Prelude and Fugue in B-flat Minor, WTC I", "bach/bwv867"),
    ("Johann Sebastian Bach", "Prelude and Fugue in G-sharp Minor, WTC II", "bach/bwv887"),
    ("Johann Sebastian Bach", "Prelude and Fugue in D♭ Major", "bach/prelude-and-fugue-in-d-flat-major"),
    ("Johann Sebastian Bach / Ferruccio Busoni", "Chaconne in D Minor, BWV 1004", "bach/bwv1004"),
    ("Johann Sebastian Bach", "Cantata BWV 120a", "bach/bwv120"),
    ("Bach", "Italian_concerto", "bach/bwv971"),
    ("Carl Philipp Emanuel Bach", "Sonata, H. 186", "bach-cpe/h186"),
    ("Ludwig van Beethoven", "Sonata No. 1 in F Minor, Op. 2 No. 1", "beethoven/op2-no1"),
    ("Beethoven", "Piano Sonata No. 1", "beethoven/op2-no1"),
    ("Beethoven, Ludwig van", "Sonata No. 14, Op. 27 'Moonlight'", "beethoven/op27-no2"),
    ("Beethoven", "Moonlight Sonata", "beethoven/op27-no2"),
    ("Beethoven", "Sonate Pathétique", "beethoven/op13"),
    ("Ludwig van Beethoven", 'Sonata No. 21 in C Major, Op. 53, "Waldstein"', "beethoven/op53"),
    ("Ludwig van Beethoven", "Sonata No. 26 in E-flat Major, Op. 81a", "beethoven/op81"),
    ("Ludwig van Beethoven", "Violin Sonata No. 9", "beethoven/op47"),
    ("Ludwig van Beethoven", "String Quartet No. 1, Op. 18, No. 1", "beethoven/op18-no1"),
    ("Ludwig van Beethoven", "String Quartet No. 1", "beethoven/string-quartet-no-1"),
    ("Ludwig van Beethoven", "Für Elise, WoO 59", "beethoven/woo59"),
    ("Ludwig van Beethoven", "Für Elise", "beethoven/woo59"),
    ("Wolfgang Amadeus Mozart", "Sonata in C Major, K. 279", "mozart/k279"),
    ("W. A. Mozart", "Sonata No. 11 in A Major, K. 331/300i", "mozart/k331"),
    ("Mozart, Wolfgang Amadeus", "Piano Sonata No. 16, KV 545", "mozart/k545"),
    ("Mozart", "Piano Sonata No.16", "mozart/k545"),
    ("Mozart", "Sonata K. 300i", "mozart/k331"),
    ("Mozart", "Sonata K.533/494", "mozart/k533"),
    ("Mozart", "Symphony No. 1", "mozart/symphony-no-1"),
    ("Frédéric Chopin", "Prelude in E Minor, Op. 28 No. 4", "chopin/op28-no4"),
    ("Chopin, Frederic", "Prélude Op. 28, No. 4", "chopin/op28-no4"),
    ("Chopin", "Prelude op. 28,4", "chopin/op28-no4"),
    ("Chopin", "Prelude Op.28/4", "chopin/op28-no4"),
    ("Chopin", "24 Preludes, Op. 28", "chopin/op28"),
    ("Chopin", "Preludes Op. 28, Nos. 1-3", "chopin/op28"),
    ("Chopin", "Preludes Op. 28 No. 7 & 8", "chopin/op28"),
    ("Chopin", "Etude No. 4 in C-sharp Minor, Op. 10", "chopin/op10-no4"),
    ("Chopin", "Mazurka Op. 7 No. 1", "chopin/op6-7"),
    ("Chopin", "Ballade No. 1 in G Minor", "chopin/op23"),
    ("Chopin", "Ballade No. 1 in G Minor, Op. 23", "chopin/op23"),
    ("Chopin", "Sonata No. 2 in B-flat Minor, Op. 35", "chopin/op35"),
    ("Chopin", "Fantaisie-Impromptu, Op. posth. 66", "chopin/op66"),
    ("Chopin", "Waltz in E Minor, Op. posth.", "chopin/waltz-in-e-minor"),
    ("Chopin", "Mazurkas Op.41 No.2", "chopin/op41"),
    ("Joseph Haydn", "Sonata in C Major, Hob. XVI:48", "haydn/hobxvi-48"),
    ("Franz Joseph Haydn", "Sonata Hob.XVI/48", "haydn/hobxvi-48"),
    ("Domenico Scarlatti", "Sonata in E-flat Major, K. 474, L. 203", "scarlatti/k474"),
    ("Domenico Scarlatti", "Sonata, L. 203", "scarlatti/l203"),
    ("Franz Schubert", "Impromptu Op. 90 No. 3", "schubert/d899-no3"),
    ("Franz Schubert", "Impromptu in G-flat Major, D. 899 No. 3", "schubert/d899-no3"),
    ("Franz Schubert", "Wanderer Fantasie", "schubert/d760"),
    ("Franz Schubert", "Sonata in A Major, D. 664", "schubert/d664"),
    ("Robert Schumann", "Dichterliebe, Op.48 No. 2", "schumann/op48-no2"),
    ("Robert Schumann", "Kreisleriana, Op. 16", "schumann/op16"),
    ("Clara Schumann", "Trio, Op. 17", "schumann-clara/op17"),
    ("Schumann, Clara", "Trio, Op. 17", "schumann-clara/op17"),
    ("Franz Liszt", "Transcendental Etude No. 10 in F Minor", "liszt/s139-no10"),
    ("Franz Liszt", "Sonata in B Minor, S. 178", "liszt/s178"),
    ("Franz Liszt", "La Campanella", "liszt/s141-no3"),
    ("Sergei Rachmaninov", "Prelude No. 5 in G Minor, Op. 23", "rachmaninoff/op23-no5"),
    ("Alexander Skryabin", "Sonata No. 5", "scriabin/op53"),
    ("Scott Joplin", "Maple Leaf Rag", "joplin/maple-leaf-rag"),
    ("Fanny Hensel", "Song, Op. 8 No. 1", "hensel-fanny/op8-no1"),
    ("Mendelssohn Hensel, Fanny", "Song, Op. 8 No. 1", "hensel-fanny/op8-no1"),
    ("Beach, Amy", "3 Songs, Op.37", "beach-amy/op37"),
    ("Amy Marcy Beach", "Three Songs, Op. 37", "beach-amy/op37"),
    ("Józef Wieniawski", "Polonez", "wieniawski-jozef/polonez"),
]

DIFFERENT = [
    (("Bach", "Fugue, BWV 846"), ("Bach", "Fugue, BWV 847")),
    (("Beethoven", "Sonata Op. 10 No. 1"), ("Beethoven", "Sonata Op. 10 No. 2")),
    (("Chopin", "Etude Op. 10 No. 1"), ("Chopin", "Etude Op. 10 No. 11")),
    (("Chopin", "Etude Op. 10 No. 4"), ("Liszt", "Etude Op. 10 No. 4")),
    (("Robert Schumann", "Lied"), ("Clara Schumann", "Lied")),
    (("Mozart", "Sonata K. 330"), ("Scarlatti", "Sonata K. 330")),
    (("Beethoven", "Violin Sonata No. 5"), ("Beethoven", "Piano Sonata No. 5")),
    (("Lehmann, Liza", "Song"), ("Lehmann, Amelia", "Song")),
    (("Chopin", "Waltz in E minor"), ("Chopin", "Waltz in E major")),
]


@pytest.mark.parametrize(("composer", "title", "expected"), TITLES)
def test_a_title_names_its_work(composer: str, title: str, expected: str) -> None:
    assert work(composer, title) == expected


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_works_that_differ_have_different_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert work(*one) != work(*other)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("The Rakes of Mallow", "tune/rake-of-mallow"),
        ("RAKES OF MALLOW, THE -- Reel", "tune/rake-of-mallow"),
        ("Rakes of Mallow (reel)", "tune/rake-of-mallow"),
        ("Sailor Hornpipe", "tune/sailor-hornpipe"),
        ("The Sailor's Hornpipe", "tune/sailor-hornpipe"),
        ("Lass of Glass", "tune/lass-of-glass"),
        ("Hornpipe", "book/hornpipe"),
        ("Minuet No. 3", "book/minuet-no-3"),
        ("The Waltz", "book/waltz"),
        ("???", "book/untitled"),
        ("Miss Gordon's Reel", "tune/miss-gordon-reel"),
        ("Soldier's Hornpipe", "tune/soldier-hornpipe"),
    ],
)
def test_a_tune_is_its_title_unless_that_names_none(title: str, expected: str) -> None:
    assert tune(title, "book") == expected


@given(st.text(), st.text())
def test_any_text_gives_a_name(composer: str, title: str) -> None:
    assert NAME.fullmatch(work(composer, title))
    assert NAME.fullmatch(tune(title, "book"))


@given(st.sampled_from(["Chopin", "Brahms", "Czerny", "Rachmaninoff"]), st.integers(1, 200), st.integers(1, 24))
def test_ways_of_writing_an_opus_agree(composer: str, opus: int, number: int) -> None:
    titles = [f"Op. {opus} No. {number}", f"op.{opus}, no.{number}", f"Piece (Opus {opus} Nr. {number})"]
    titles += [f"Étude op. {opus}/{number} in C minor", f"Op. {opus:03d} no. {number:02d}"]
    assert len({work(composer, title) for title in titles}) == 1


def test_spellings_of_a_composer_agree() -> None:
    for names in (
        ("Ludwig van Beethoven", "Beethoven, Ludwig van", "Beethoven", "BEETHOVEN", "L. v. Beethoven"),
        ("Johann Sebastian Bach", "Bach, J.S.", "J. S. Bach", "Bach"),
        ("Sergei Rachmaninoff", "Rachmaninov, Sergei", "Rakhmaninov"),
        ("Felix Mendelssohn", "Mendelssohn-Bartholdy, Felix", "Mendelssohn"),
        ("Lili Boulanger", "Boulanger, Lili"),
    ):
        assert len({composer_key(name) for name in names}) == 1, names
    assert len({composer_key(name) for name in ("Bach, Carl Philipp Emanuel", "Bach", "Bach, Johann Christian")}) == 3
