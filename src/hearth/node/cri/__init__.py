"""The container runtime: pods of any OCI image, by CRI over containerd."""
