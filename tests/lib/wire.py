"""SMTP and LMTP as bytes on a wire, for tests that must see every reply.

smtplib rewrites line ends and hides replies; this client does neither. Bodies are
given with CRLF line ends; dots are stuffed here.
"""

import re
import socket


class Closed(Exception):
    """The server ended the connection (421 announces it), or did not answer in time."""


class Client:
    def __init__(self, address, timeout=60):
        """address: path of a unix socket, or (host, port)."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.buffer = b""
        try:
            self.sock.connect(address)
        except OSError as error:
            self.close()
            raise Closed(f"connect: {error}") from error

    def close(self):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Closed(f"send: {error}") from error

    def _line(self):
        while b"\n" not in self.buffer:
            try:
                more = self.sock.recv(65536)
            except OSError as error:
                raise Closed(f"receive: {error}") from error
            if not more:
                raise Closed("end of file")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def reply(self):
        """One reply, as (code, text of all its lines)."""
        texts = []
        while True:
            line = self._line()
            if not re.match(r"[2-5]\d\d(?:[ -]|$)", line):
                raise Closed(f"not a reply: {line!r}")
            texts.append(line[4:])
            if line.startswith("421"):
                raise Closed(line)
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(texts)

    def command(self, line):
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def expect(self, code, line=None):
        """Sends line, when there is one; raises unless the reply is code."""
        got, text = self.command(line) if line is not None else self.reply()
        if got != code:
            raise AssertionError(f"{line!r}: {got} {text}, expected {code}")
        return text

    def body(self, message):
        """The message and the final dot; no reply is read."""
        stuffed = re.sub(rb"(?m)^\.", b"..", message)
        self.send(stuffed + (b"" if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n") + b".\r\n")


def path(address):
    return "<" + address + ">"


def parameters(addresses, message):
    """Parameters of MAIL that the message and its envelope need."""
    found = ""
    if any(not address.isascii() for address in addresses):
        found += " SMTPUTF8"
    if any(byte > 127 for byte in message):
        found += " BODY=8BITMIME"
    return found


def address_of(text):
    """An address of a test as socket.connect() wants it: "host:port" or a path."""
    host, _, port = text.rpartition(":")
    return (host, int(port)) if host and port.isdigit() else text
