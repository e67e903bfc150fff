#!/usr/bin/env python3
"""smtp_one.py HOST:PORT SENDER RECIPIENT ID - sends one small message by SMTP

Prints the reply that decided: "250 <queue id>", or the refusal as it came.
"""

import sys

import wire


def main():
    address, sender, recipient, name = sys.argv[1:]
    message = f"X-Lodge-Test: {name}\r\nFrom: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {name}\r\n\r\nOne line.\r\n".encode()
    client = wire.Client(wire.address_of(address))
    client.expect(220)
    client.expect(250, "EHLO client.lodge.test")
    client.expect(250, f"MAIL FROM:{wire.path(sender)}{wire.parameters([sender, recipient], message)}")
    code, text = client.command(f"RCPT TO:{wire.path(recipient)}")
    if code == 250:
        client.expect(354, "DATA")
        client.body(message)
        code, text = client.reply()
        text = text.rpartition(" ")[2]
    print(code, text)


if __name__ == "__main__":
    main()
