#!/bin/sh
# Any program will do that listens on $PORT: this one makes a page and has Python serve it.
set -eu
site=$(mktemp -d)
echo "<h1>$K_SERVICE, revision $K_REVISION</h1>" > "$site/index.html"
exec python3 -m http.server --directory "$site" "$PORT"
