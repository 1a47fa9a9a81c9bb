"""Styles over all corpora: what a sampler may balance.

A style says what music looks like on paper, not where a file was found: Bach's keyboard works carry one
style in every corpus. It is a matter of composer and scoring; where a corpus mixes, tables below decide.
"""

STYLES = {
    # keyboard
    "baroque keyboard": "Keyboard works of Bach, Scarlatti, Handel, Rameau and their time.",
    "classical piano": "Piano works of Haydn, Mozart, Beethoven, Clementi and their time.",
    "romantic piano": "Piano works from Schubert and Chopin to Rachmaninoff.",
    "impressionist piano": "Piano works of Debussy, Ravel and Satie.",
    "modern piano": "Piano works of the twentieth century: Bartok, Prokofiev, Schoenberg.",
    "ragtime": "Ragtime for piano.",
    "pop piano": "Piano covers and arrangements of pop and worship songs, mostly transcribed from recordings.",
    "contemporary piano": "Recorded piano pieces of Einaudi, Yiruma, Hisaishi and others of our time.",
    "jazz piano": "Recorded jazz piano.",
    "video game": "Video-game music arranged for piano.",
    "piano": "Piano works of composers whose period no table here gives.",
    # voices
    "classical song": "Songs with keyboard by composers born before 1780.",
    "romantic song": "Songs with piano by composers born 1780-1869.",
    "modern song": "Songs with piano by composers born from 1870.",
    "popular song": "Popular songs of the nineteenth and early twentieth century.",
    "bach chorale": "Four-part chorales of J. S. Bach.",
    "palestrina mass": "Masses of Palestrina.",
    "monteverdi madrigal": "Madrigals of Monteverdi.",
    "trecento": "Italian polyphony of the fourteenth century.",
    "ars nova": "French polyphony of the fourteenth century.",
    "renaissance": "Vocal polyphony of the sixteenth century beside the corpora above.",
    # ensembles
    "baroque": "Ensembles and arias of the baroque.",
    "classical quartet": "String quartets of Haydn, Mozart and Beethoven.",
    "romantic": "Chamber music, opera and concertos of the nineteenth century.",
    "modern": "Chamber songs and ensembles of the second Viennese school.",
    "pop band": "Pop and rock for several instruments.",
    # single lines
    "lead sheet: pop": "Melody and chord symbols, pop.",
    "lead sheet: jazz": "Melody and chord symbols, jazz and blues.",
    "lead sheet: rock": "Melody and chord symbols, rock, funk and soul.",
    "lead sheet: stage": "Melody and chord symbols, stage and screen.",
    "lead sheet: other": "Melody and chord symbols, folk, classical and the rest.",
    "irish tune": "Tunes of O'Neill's books.",
    "scottish air": "Tunes of Aird's books.",
    "american fiddle tune": "Tunes of Ryan's book.",
    "american fife tune": "Colonial and Civil War fife tunes.",
    "english fiddle tune": "Session and dance tunes collected around Nottingham.",
    "northumbrian tune": "Tunes of the Northumbrian Minstrelsy.",
    "chinese folk song": "Essen collection, China.",
    "german folk song": "Essen collection, Germany.",
    "lorraine folk song": "Essen collection, Lorraine.",
    "alpine folk song": "Essen collection, Austria and Switzerland.",
    "dutch folk song": "Essen collection, the Netherlands.",
    "other folk song": "Essen collection, other countries.",
    # anything
    "user score": "Scores that users of a sharing site uploaded, of any kind.",
    "unknown": "No metadata: a folder of the user's own files, and fragments made to test programs.",
}
"""Style -> what it holds."""

KEYBOARD = ("baroque keyboard", "classical piano", "romantic piano", "impressionist piano", "modern piano", "piano")
"""What `keyboard` may answer."""

SONGS = ("classical song", "romantic song", "modern song")
"""What `song` may answer."""

_PERIODS = {
    "baroque keyboard": "bach handel scarlatti rameau couperin purcell telemann soler buxtehude froberger pachelbel "
    "byrd-william",
    "classical piano": "haydn mozart beethoven clementi hummel bach-cpe czerny dussek-jan kuhlau-friedrich holland-jan "
    "kozlowski-jozef oginski-michal stefani-jan elsner-jozef",
    "romantic piano": "albeniz alkan-charles arensky-anton balakirev bizet borodin brahms busoni chopin dvorak faure "
    "field-john franck glinka granados grieg liszt lyadov-anatoly macdowell-edward medtner mendelssohn hensel-fanny "
    "moszkowski-moritz mussorgsky rachmaninoff saint-saens-camille schubert schumann schumann-clara scriabin sibelius "
    "smetana tchaikovsky thalberg-sigismond wagner weber godowsky-leopold janacek wolf strauss-richard",
    "impressionist piano": "debussy ravel satie",
    "modern piano": "bartok prokofiev schoenberg shostakovich stravinsky kapustin-nikolai messiaen-olivier berg-alban "
    "webern hindemith-paul "
    "poulenc-francis barber-samuel kabalevsky-dmitry khachaturian-aram ligeti-gyorgy ives-charles",
}
_STYLE_OF = {composer: style for style, composers in _PERIODS.items() for composer in composers.split()}
_BORN_BEFORE_1780 = (
    "beethoven haydn mozart paradis-maria schroter-corona reichardt-louise reichardt-johann zumsteeg-emilie"
)
_BORN_FROM_1870 = (
    "bartok berg-alban boulanger-lili boulanger-nadia bridge-frank butterworth-george clarke-rebecca "
    "coleridge-taylor-samuel davies-walford faltis-evelyn gurney-ivor holst-gustav ives-charles mahler-alma "
    "quilter-roger ravel schoenberg stravinsky szymanowski-karol vaughan-williams-ralph warlock-peter webern"
)
_SONG_EARLY = frozenset(_BORN_BEFORE_1780.split())
_SONG_LATE = frozenset(_BORN_FROM_1870.split())


def keyboard(composer: str, default: str = "piano") -> str:
    """Style of a keyboard work by its composer's key; the default where no table names the composer."""
    return _STYLE_OF.get(composer, default)


def song(composer: str) -> str:
    """Style of a song with piano by its composer's key; "romantic song" where no table names the composer."""
    if composer in _SONG_EARLY:
        return "classical song"
    return "modern song" if composer in _SONG_LATE else "romantic song"
