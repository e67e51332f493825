"""Callers of an engine's socket: callers.py SOCKET COUNT SECONDS ANSWERS.

COUNT of them ask for the status every SECONDS, each on a connection that it keeps, evenly spread, until the process
that started this one has gone or ended it. A byte is added to the file ANSWERS for each answer.
"""

import os
import socket
import sys
import threading
import time


def main() -> None:
    """Ask, as the arguments say."""
    path, count, seconds, answers = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    parent = os.getppid()
    with open(answers, "ab", buffering=0) as counted:  # noqa: PTH123 (one file for all threads)
        for number in range(count):
            arguments = (path, seconds, seconds * number / count, counted.fileno())
            threading.Thread(target=ask, args=arguments, daemon=True).start()
        while os.getppid() == parent:
            time.sleep(0.5)


def ask(path: str, seconds: float, first: float, counted: int) -> None:
    """Ask again and again."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(path)
    answered = connected.makefile("rb")
    due = time.monotonic() + first
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        due += seconds
        connected.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        length = 0
        while (line := answered.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        answered.read(length)
        os.write(counted, b".")


if __name__ == "__main__":
    main()
