"""The kinds we serve, and what can be said of them without I/O.

Three kinds of data (style T2): a *wire object* is a ``dict`` and lossless, a *view* is a frozen
``msgspec.Struct`` decoded from it for reading, a *core value* is a frozen dataclass. Nothing here
does I/O or keeps a clock. Start with ``meta`` and ``kinds``.
"""
