#!/usr/bin/env python3
"""Reads a checkpoint with the reference implementation (pip install numpy safetensors) and prints what is in it.

usage: check_safetensors.py FILE
Exits with 1 and one line when the file cannot be read.
"""
import sys


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_safetensors.py FILE")
    from safetensors import safe_open

    try:
        with safe_open(sys.argv[1], framework="numpy") as file:
            for key, value in sorted((file.metadata() or {}).items()):
                print(f"# {key}: {value!r}")
            for name in sorted(file.keys()):
                tensor = file.get_tensor(name)
                print(f"{name} {tensor.dtype} {list(tensor.shape)}")
    except Exception as error:  # the package's own error types differ between its versions
        sys.exit(f"{sys.argv[1]}: {error}")


if __name__ == "__main__":
    main()
