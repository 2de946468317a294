"""Runs a program in a pseudo-terminal of its own, as the first process of a session: in-terminal.py PROGRAM [ARGUMENT ...]

What the terminal shows goes to stdout. Lines on stdin say what to do: `type TEXT` types it, with \\x03 for Ctrl-C; `close`
closes the terminal, as a window or ssh that goes. At the end a line on stderr has, as JSON, the program's exit code, or 128
and the number of the signal that ended it, and whether a process of its session is left ten seconds later.
"""

import json
import os
import pty
import select
import sys
import time


def main():
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    shown = [terminal]
    heard = [0]
    typed = b""
    status = None
    while status is None:
        ready, _, _ = select.select(shown + heard, [], [], 0.05)
        if terminal in ready:
            try:
                os.write(1, os.read(terminal, 65536))
            except OSError:  # nobody has it open any more
                shown = []
        if 0 in ready:
            typed += os.read(0, 4096)
            if not typed.endswith(b"\n"):
                heard = []
            *lines, typed = typed.split(b"\n")
            for line in lines:
                if line == b"close":
                    os.close(terminal)
                    shown = []
                else:
                    os.write(terminal, line.removeprefix(b"type ").decode("unicode_escape").encode())
        ended, found = os.waitpid(child, os.WNOHANG)
        if ended:
            status = found
    code = os.waitstatus_to_exitcode(status)
    until = time.monotonic() + 10
    while (left := processes_of(child)) and time.monotonic() < until:
        time.sleep(0.05)
    print(json.dumps({"code": code if code >= 0 else 128 - code, "left": left}), file=sys.stderr)


def processes_of(session):
    """The numbers of its processes; of those in its first group alone where there is no /proc."""
    if not os.path.isdir("/proc/self"):
        try:
            os.killpg(session, 0)
            return [session]
        except OSError:
            return []
    left = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                state, _, _, found = file.read().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(found) == session and state != "Z":
            left.append(int(name))
    return left


main()
