"""Made safe to look at, what others wrote: what a terminal would obey, or show other than it is, stands escaped."""

import json


def visible(text: str) -> str:
    r"""Give a text in which what cannot be seen stands as JSON spells it (`\u202e`); line feeds stay.

    Control characters can move the cursor or type into the terminal, bidirectional overrides show a text in another
    order than it has. JSON text stays the same JSON.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)
