"""Makes src/hearth/node/cri/api_pb2.py anew from the published CRI API.

python tools/cri_api.py 0.35.4      (needs go for the module, and grpcio-tools)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).parent.parent / "src/hearth/node/cri"


def main(version: str) -> None:
    """Fetch the module ``k8s.io/cri-api`` of that version and compile its v1 API."""
    module = f"k8s.io/cri-api@v{version}"
    told = subprocess.run(
        ["go", "mod", "download", "-json", module], check=True, capture_output=True, cwd="/"
    )
    protos = Path(json.loads(told.stdout)["Dir"]) / "pkg/apis/runtime/v1"
    with tempfile.TemporaryDirectory() as folder:
        protoc = [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{protos}",
            f"--python_out={folder}",
        ]
        subprocess.run([*protoc, "api.proto"], check=True)
        (OUT / "api_pb2.py").write_bytes((Path(folder) / "api_pb2.py").read_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
