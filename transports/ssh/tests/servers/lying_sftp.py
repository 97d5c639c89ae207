"""An SFTP server, as a subsystem, that lies about its files: no real one can be made to.

/begins    its first listing holds only . and .., the next one a name
/endless   its listing never ends
/short     a file of 10 bytes by its metadata, which ends after 4
"""

import struct
import sys

STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105


def text(value):
    return struct.pack(">I", len(value)) + value


def attributes(kind, size=0):
    return struct.pack(">IQI", 1 | 4, size, kind)


def names(*some):
    entries = (text(name) + text(name) + attributes(0o100644, 10) for name in some)
    return NAME, struct.pack(">I", len(some)) + b"".join(entries)


def status(code):
    return STATUS, struct.pack(">I", code) + text(b"") + text(b"")


def answer(kind, body, listed):
    """Returns the kind and the body of an answer."""
    length = struct.unpack(">I", body[:4])[0]
    path, rest = body[4 : 4 + length], body[4 + length :]
    if kind in (7, 17):  # LSTAT, STAT
        return ATTRS, attributes(0o100644, 10) if path == b"/short" else attributes(0o040755)
    if kind in (3, 11):  # OPEN, OPENDIR
        return HANDLE, text(path)
    if kind == 12:  # READDIR
        listed[path] = listed.get(path, 0) + 1
        if path == b"/endless":
            return names(*(b"%d-%d" % (listed[path], i) for i in range(1000)))
        return {1: names(b".", b".."), 2: names(b"a")}.get(listed[path], status(1))
    if kind == 5:  # READ
        offset = struct.unpack(">Q", rest[:8])[0]
        return (DATA, text(b"four")) if offset == 0 else status(1)
    return status(0)


def main():
    read, write, listed = sys.stdin.buffer, sys.stdout.buffer, {}
    while len(head := read.read(4)) == 4:
        packet = read.read(struct.unpack(">I", head)[0])
        if packet[0] == 1:  # INIT
            reply = bytes([2]) + struct.pack(">I", 3)
        else:
            kind, body = answer(packet[0], packet[5:], listed)
            reply = bytes([kind]) + packet[1:5] + body
        write.write(text(reply))
        write.flush()


main()
