"""What scoresim shows in a browser: the report of an analysis, and a server of one's own, for people and for programs.

    report.py     an analysis as one page
    limits.py     what the server takes from a visitor, and how much
    guard.py      around every request: whose page asks, under which name, and the headers of every answer
    uploads.py    a form's files, written into a folder of their own while they arrive, and removed
    desk.py       the model, used by one thread; who waits for it, and how long
    look.py       how many pages or notes a file has, before the model sees it
    refusal.py    what is not answered, as one sentence
    schema.py     the JSON of the answers, for the OpenAPI document
    app.py        the routes
    server.py     an address, and what serves it until a signal comes

Nothing that a visitor sends is kept, and no file stands under a name that a visitor chose.
"""
