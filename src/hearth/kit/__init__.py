"""Small things that know no domain: clocks, backoff, task runner, logs, settings.

The pure modules (``units``, ``backoff``) may be imported by cores; the asyncio ones
(``tasks``, ``clock``, ``logs``, ``settings``) may not.
"""
