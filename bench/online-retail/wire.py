"""Just enough of a PostgreSQL client to ask one question again and again."""

import socket
import struct


class Session:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        words = b"user\0sluice\0database\0sluice\0\0"
        self.socket.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
        self.answer()

    def ask(self, sql):
        """The rows of the answer, as tuples of text or None."""
        text = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", 4 + len(text)) + text)
        return self.answer()

    def answer(self):
        rows = []
        failure = None
        while True:
            kind, length = struct.unpack("!ci", self.reader.read(5))
            body = self.reader.read(length - 4)
            if kind == b"D":
                rows.append(tuple(self.values(body)))
            elif kind == b"E":
                failure = body.decode(errors="replace").replace("\0", " ")
            elif kind == b"Z":
                if failure:
                    raise RuntimeError(failure)
                return rows

    @staticmethod
    def values(body):
        place = 2
        for _ in range(struct.unpack_from("!h", body)[0]):
            (length,) = struct.unpack_from("!i", body, place)
            place += 4
            if length < 0:
                yield None
            else:
                yield body[place : place + length].decode()
                place += length

    def close(self):
        self.socket.sendall(b"X\0\0\0\4")
        self.socket.close()
