"""Container images of Hearth, as OCI archives: ``python -m tools.images [--out DIR] [--tag TAG]``.

``debian`` has the files of a few Debian packages, no more: no shell, no package manager. ``wheels``
has what the lock file names. ``oci`` writes archives whose bytes depend on those alone.
"""
