#!/usr/bin/env python3
"""smtp_size.py HOST:PORT RECIPIENT OCTETS [--unannounced] - sends a message of that size by SMTP

Says SIZE= at MAIL unless told not to. Prints where it ended and the reply there:
"RCPT 552 5.2.2 ...", "END 250 <queue id>".
"""

import sys

import wire


def main():
    address, recipient, octets, *more = sys.argv[1:]
    head = f"From: <test@client.lodge.test>\r\nTo: <{recipient}>\r\nSubject: {octets} octets\r\n\r\n"
    line = "x" * 70 + "\r\n"
    missing = int(octets) - len(head)
    message = head + line * (missing // len(line)) + "x" * max(missing % len(line) - 2, 0) + "\r\n"
    size = "" if more else f" SIZE={octets}"
    client = wire.Client(wire.address_of(address))
    client.expect(220)
    client.expect(250, "EHLO client.lodge.test")
    client.expect(250, f"MAIL FROM:<test@client.lodge.test>{size}")
    place, (code, text) = "RCPT", client.command(f"RCPT TO:<{recipient}>")
    if code == 250:
        client.expect(354, "DATA")
        client.body(message.encode())
        place, (code, text) = "END", client.reply()
    print(place, code, text.rpartition(" ")[2] if code == 250 else text)


if __name__ == "__main__":
    main()
